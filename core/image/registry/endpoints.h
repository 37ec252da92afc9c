// SPDX-License-Identifier: Apache-2.0
// The endpoints of one session: a registry and its mirrors, in the order of the route, with the
// credentials for each, and which endpoint served which blob. Addresses are stable until the end of
// the session. Private to this room, except that a push names its endpoint.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/config/route.h"
#include "core/image/registry/auth.h"
#include "core/image/registry/endpoint_health.h"
#include "core/image/registry/request.h"
#include "core/image/registry/secrets.h"
#include "core/oci/digest.h"
#include "core/oci/reference.h"
#include "core/task/event.h"

namespace berth::image {

struct SessionEndpoint {
  // "https://host/v2/library/busybox" + `rest`
  std::string url_of(const std::string& rest) const { return where.base + "/" + where.path + rest; }
  std::string url_of(const RegistryRequest& request) const {
    return request.url.empty() ? url_of(request.rest) : request.url;
  }

  RegistryEndpoint where;
  AuthConfig auth;
  std::string authorization;  // value of the Authorization header; a secret
  Mutex token_mutex;          // one token request at a time
  bool unreachable = false;   // the last attempt failed before an HTTP answer
  // A fallback is asked only while the endpoint before it is unreachable. Null: no fallback.
  SessionEndpoint* preferred = nullptr;
};

class SessionEndpoints {
 public:
  // The registry gets `auth`; so does a mirror over TLS or on loopback, unless the credentials name
  // another server. Adds what must not be printed to `secrets`.
  Status fill(RegistryRoute route, const AuthConfig& auth, const oci::Reference& reference,
              Secrets& secrets);

  std::size_t size() const { return endpoints_.size(); }

  // The endpoints that can serve the request, in the order of the route. Those that rest after a
  // failure, and those that sent wrong bytes of this blob, come last.
  std::vector<SessionEndpoint*> order(const RegistryRequest& request, const EndpointHealth& health);

  // The registry that a push goes to, and the same host by plain HTTP; null where there is none.
  struct PushTarget {
    SessionEndpoint* endpoint = nullptr;
    SessionEndpoint* fallback = nullptr;
  };
  PushTarget push_target() const;

  // `endpoint` sent bytes of the blob.
  void note_served(const std::string& blob, SessionEndpoint* endpoint);
  // The bytes received since the last call were wrong: their endpoints come last for this blob from
  // now on. False: no other endpoint is left.
  bool reject(const std::string& blob);

 private:
  std::vector<std::unique_ptr<SessionEndpoint>> endpoints_;
  std::map<std::string, std::set<SessionEndpoint*>> served_;    // by digest
  std::map<std::string, std::set<SessionEndpoint*>> rejected_;  // by digest
};

}  // namespace berth::image
