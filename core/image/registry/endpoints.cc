// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/endpoints.h"

#include <algorithm>
#include <utility>

#include "core/base/units.h"
#include "core/image/http/url.h"

namespace berth::image {
namespace {

// Whether credentials may go to a mirror.
bool may_know(const RegistryEndpoint& where) {
  return where.base.starts_with("https:") || is_loopback_host(url_host(where.base));
}

}  // namespace

Status SessionEndpoints::fill(RegistryRoute route, const AuthConfig& auth,
                              const oci::Reference& reference, Secrets& secrets) {
  for (const std::string& secret :
       {auth.password, auth.auth, auth.identity_token, auth.registry_token,
        base64_encode(auth.username + ":" + auth.password)}) {
    secrets.add(secret);
  }
  for (RegistryEndpoint& where : route.endpoints) {
    auto endpoint = std::make_unique<SessionEndpoint>();
    const std::string host = where.is_mirror ? url_host(where.base) : reference.registry_host();
    if (!where.is_mirror || may_know(where)) {
      TRY(endpoint->auth, effective_auth(auth, host));
    }
    if (!where.is_mirror && !endpoint->auth.registry_token.empty()) {
      endpoint->authorization = "Bearer " + endpoint->auth.registry_token;
    }
    secrets.add(endpoint->auth.password);
    for (const std::string& header : where.headers) secrets.add_value_of(header);
    endpoint->where = std::move(where);
    if (endpoint->where.is_fallback) endpoint->preferred = endpoints_.back().get();
    endpoints_.push_back(std::move(endpoint));
  }
  return {};
}

std::vector<SessionEndpoint*> SessionEndpoints::order(const RegistryRequest& request,
                                                      const EndpointHealth& health) {
  std::vector<SessionEndpoint*> all;
  for (const auto& endpoint : endpoints_) {
    const RegistryEndpoint& where = endpoint->where;
    if (request.resolves ? where.can_resolve : where.can_pull) all.push_back(endpoint.get());
  }
  // Another session may have found unreachable the endpoint that plain HTTP is the fallback of.
  const std::int64_t now_ns = monotonic_now_ns();
  for (SessionEndpoint* endpoint : all) {
    SessionEndpoint* const preferred = endpoint->preferred;
    if (preferred == nullptr) continue;
    if (health.resting(preferred->where.base, now_ns)) preferred->unreachable = true;
  }
  const auto rejected = rejected_.find(request.digest);
  std::stable_partition(all.begin(), all.end(), [&](SessionEndpoint* endpoint) {
    const bool is_rejected = rejected != rejected_.end() && rejected->second.contains(endpoint);
    return !is_rejected && !health.resting(endpoint->where.base, now_ns);
  });
  return all;
}

SessionEndpoints::PushTarget SessionEndpoints::push_target() const {
  PushTarget target;
  for (const auto& endpoint : endpoints_) {
    if (!endpoint->where.can_push || endpoint->where.is_mirror) continue;
    if (target.endpoint == nullptr) {
      target.endpoint = endpoint.get();
    } else if (endpoint->preferred == target.endpoint) {
      target.fallback = endpoint.get();
    }
  }
  return target;
}

void SessionEndpoints::note_served(const std::string& blob, SessionEndpoint* endpoint) {
  served_[blob].insert(endpoint);
}

bool SessionEndpoints::reject(const std::string& blob) {
  std::set<SessionEndpoint*>& rejected = rejected_[blob];
  const std::size_t before = rejected.size();
  rejected.merge(served_[blob]);
  served_.erase(blob);
  // An endpoint that never answers is never rejected. Without this check the others would be asked
  // without end because of it.
  if (rejected.size() == before) return false;
  return std::any_of(endpoints_.begin(), endpoints_.end(), [&](const auto& endpoint) {
    return endpoint->where.can_pull && endpoint->preferred == nullptr &&
           !rejected.contains(endpoint.get());
  });
}

}  // namespace berth::image
