// SPDX-License-Identifier: Apache-2.0
// The questions, and whom they go to in which order.
#include "core/image/registry/session.h"

#include <errno.h>

#include <algorithm>

#include "core/image/http/url.h"
#include "core/image/registry/client.h"
#include "core/image/registry/status.h"
#include "core/image/registry/token.h"
#include "core/ring/ring.h"

namespace berth::image {
namespace {

constexpr const char* kAcceptManifests =
    "Accept: application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";

void add_secret(std::vector<std::string>& secrets, const std::string& secret) {
  constexpr std::size_t kShortest = 3;  // shorter ones would blot out innocent text
  if (secret.size() >= kShortest) secrets.push_back(secret);
}

// Of 4xx and 501 to a HEAD: they may mean the method. Who asks for credentials means no method.
bool refuses_head(const Error& error) {
  return error.is(Errc::not_found) || error.is(Errc::permission_denied) ||
         error.is(Errc::invalid_argument) || error.is(Errc::unimplemented) ||
         error.is(Errc::unknown);
}

// Whether a mirror may be told who we are.
bool may_know(const RegistryEndpoint& where) {
  return where.base.starts_with("https:") || is_loopback_host(url_host(where.base));
}

}  // namespace

RegistrySession::RegistrySession(RegistryClient& client, oci::Reference reference, Access access)
    : client_(client), reference_(std::move(reference)), access_(access) {
  client_.session_made();
}

RegistrySession::~RegistrySession() {
  client_.session_gone();
}

Result<std::unique_ptr<RegistrySession>> RegistrySession::create(RegistryClient& client,
                                                                 oci::Reference reference,
                                                                 AuthConfig auth,
                                                                 RegistryRoute route,
                                                                 Access access) {
  std::unique_ptr<RegistrySession> session(
      new RegistrySession(client, std::move(reference), access));
  for (RegistryEndpoint& where : route.endpoints) {
    auto endpoint = std::make_unique<Endpoint>();
    const std::string host =
        where.is_mirror ? url_host(where.base) : session->reference_.registry_host();
    if (!where.is_mirror || may_know(where)) {
      TRY(endpoint->auth, effective_auth(auth, host));
    }
    if (!where.is_mirror && !endpoint->auth.registry_token.empty()) {
      endpoint->authorization = "Bearer " + endpoint->auth.registry_token;
    }
    for (const std::string& header : where.headers) {
      add_secret(session->secrets_, header.substr(std::min(header.find(' ') + 1, header.size())));
    }
    endpoint->where = std::move(where);
    if (endpoint->where.is_fallback) endpoint->preferred = session->endpoints_.back().get();
    session->endpoints_.push_back(std::move(endpoint));
  }
  for (const std::string& secret :
       {auth.password, auth.auth, auth.identity_token, auth.registry_token,
        base64_encode(auth.username + ":" + auth.password)}) {
    add_secret(session->secrets_, secret);
  }
  for (const auto& endpoint : session->endpoints_) {
    add_secret(session->secrets_, endpoint->auth.password);
  }
  return session;
}

std::string RegistrySession::url_of(const Endpoint& endpoint, const std::string& rest) const {
  return endpoint.where.base + "/" + endpoint.where.path + rest;
}

Task<RemoteDocument> RegistrySession::head_manifest(std::string name) {
  Ask ask;
  ask.method = "HEAD";
  ask.rest = "/manifests/" + name;
  ask.headers.emplace_back(kAcceptManifests);
  Result<oci::Digest> digest = oci::Digest::parse(name);
  ask.resolves = !digest.ok();
  DocumentBody body(digest.ok() ? *digest : oci::Digest());
  body.only_head();
  Result<HttpResponse> response = co_await ask_all(std::move(ask), body).result();
  if (response.ok()) co_return std::move(body.document());
  // Some registries, and proxies before them, know GET alone; and a refusal of HEAD has no words.
  const bool get_may_serve = refuses_head(response.error());
  if (!get_may_serve) co_await std::move(response);
  RemoteDocument document = co_await get_manifest(std::move(name));
  co_return document;
}

Task<RemoteDocument> RegistrySession::get_manifest(std::string name) {
  Ask ask;
  ask.rest = "/manifests/" + name;
  ask.headers.emplace_back(kAcceptManifests);
  Result<oci::Digest> digest = oci::Digest::parse(name);
  ask.resolves = !digest.ok();
  DocumentBody body(digest.ok() ? *digest : oci::Digest());
  HttpResponse response = co_await ask_all(std::move(ask), body);
  co_return std::move(body.document());
}

Task<std::string> RegistrySession::get_document(oci::Descriptor blob) {
  Ask ask;
  ask.rest = "/blobs/" + blob.digest.text();
  DocumentBody body(blob.digest);
  HttpResponse response = co_await ask_all(std::move(ask), body);
  co_return std::move(body.document().bytes);
}

Task<std::uint64_t> RegistrySession::get_blob(oci::Descriptor blob, std::uint64_t offset,
                                              DownloadSink& sink) {
  if (offset > blob.size) {
    Error error = make_error(Errc::out_of_range,
                             "blob " + blob.digest.text() + ": the offset is beyond its end");
    co_await fail(std::move(error));
  }
  if (offset == blob.size) co_return 0;
  Ask ask;
  ask.rest = "/blobs/" + blob.digest.text();
  ask.digest = blob.digest.text();
  ask.is_document = false;
  BlobBody body(blob, offset, sink);
  HttpResponse response = co_await ask_all(std::move(ask), body);
  co_return body.transferred();
}

bool RegistrySession::reject(const oci::Digest& blob) {
  std::set<Endpoint*>& rejected = rejected_[blob.text()];
  const std::size_t before = rejected.size();
  rejected.merge(served_[blob.text()]);
  served_.erase(blob.text());
  // Who never answers is never rejected either, and must not keep us asking the others for ever.
  if (rejected.size() == before) return false;
  return std::any_of(endpoints_.begin(), endpoints_.end(), [&](const auto& endpoint) {
    return endpoint->where.can_pull && endpoint->preferred == nullptr &&
           !rejected.contains(endpoint.get());
  });
}

Task<RegistrySession::Endpoint*> RegistrySession::push_endpoint() {
  Endpoint* chosen = nullptr;
  Endpoint* fallback = nullptr;
  for (const auto& endpoint : endpoints_) {
    if (!endpoint->where.can_push || endpoint->where.is_mirror) continue;
    if (chosen == nullptr) {
      chosen = endpoint.get();
    } else if (endpoint->preferred == chosen) {
      fallback = endpoint.get();
    }
  }
  if (chosen == nullptr) {
    Error error = make_error(Errc::failed_precondition,
                             reference_.repository() + ": no configured host may be pushed to");
    co_await fail(std::move(error));
  }
  if (fallback == nullptr) co_return chosen;
  // Any answer will do, so the question is the one that every registry knows.
  Ask ask;
  ask.url = chosen->where.base + "/";
  ask.has_fallback = true;
  AnyBody body;
  Result<HttpResponse> answer = co_await with_retries(*chosen, std::move(ask), body).result();
  const bool given_up = !answer.ok() && answer.error().is(Errc::cancelled);
  if (given_up) co_await std::move(answer);
  co_return chosen->unreachable ? fallback : chosen;
}

// Who can answer, in the order of the route; who rests, and whose bytes were wrong, last.
std::vector<RegistrySession::Endpoint*> RegistrySession::order(const Ask& ask) {
  std::vector<Endpoint*> all;
  for (const auto& endpoint : endpoints_) {
    const RegistryEndpoint& where = endpoint->where;
    if (ask.resolves ? where.can_resolve : where.can_pull) all.push_back(endpoint.get());
  }
  // What plain HTTP stands in for may have been found unreachable by another session.
  const std::int64_t now_ns = monotonic_now_ns();
  for (Endpoint* endpoint : all) {
    Endpoint* const preferred = endpoint->preferred;
    if (preferred == nullptr) continue;
    if (client_.health().resting(preferred->where.base, now_ns)) preferred->unreachable = true;
  }
  const auto rejected = rejected_.find(ask.digest);
  std::stable_partition(all.begin(), all.end(), [&](Endpoint* endpoint) {
    const bool lied = rejected != rejected_.end() && rejected->second.contains(endpoint);
    return !lied && !client_.health().resting(endpoint->where.base, now_ns);
  });
  return all;
}

// What the places said that were asked before the last.
struct RegistrySession::Tried {
  void add(const Endpoint& endpoint, const Error& error) {
    constexpr std::size_t kShown = 200;
    if (endpoint.where.is_fallback) return;
    text += (text.empty() ? "" : "; ") + url_host(endpoint.where.base) + ": " +
            error.subject.substr(0, kShown);
  }
  std::string text;
};

Task<HttpResponse> RegistrySession::ask_all(Ask ask, RegistryBody& body) {
  const std::vector<Endpoint*> places = order(ask);
  Error last = make_error(Errc::failed_precondition,
                          reference_.repository() + ": no configured host may answer that");
  Tried tried;
  const Endpoint* asked = nullptr;
  for (std::size_t i = 0; i < places.size(); ++i) {
    Endpoint& endpoint = *places[i];
    if (endpoint.preferred != nullptr && !endpoint.preferred->unreachable) continue;
    const auto next = places.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    ask.has_fallback = next != places.end() && (*next)->preferred == &endpoint;
    ask.patient = std::all_of(next, places.end(), [](Endpoint* other) { return other->preferred; });
    ask.attempts_max = ask.patient ? client_.options().attempts_max : 1;
    const std::uint64_t before = body.offset();
    if (asked != nullptr) tried.add(*asked, last);
    asked = &endpoint;
    Result<HttpResponse> response = co_await with_retries(endpoint, ask, body).result();
    if (body.offset() > before) served_[ask.digest].insert(&endpoint);
    Status fits;
    if (response.ok()) fits = body.verify(*response);
    if (response.ok() && fits.ok()) co_return response;
    if (response.ok()) {
      std::string what = ask.method + " " + printable_url(url_of(endpoint, ask.rest));
      last = std::move(fits).error().with(what);
    } else {
      last = std::move(response).error();
    }
    const bool over = last.is(Errc::cancelled) || body.given_up();
    if (over) break;
  }
  if (!tried.text.empty()) last.subject += " (before it, " + tried.text + ")";
  Error error = scrubbed(std::move(last));
  co_return error;
}

void RegistrySession::judge(Endpoint& endpoint, const Error& error, bool unreachable) {
  endpoint.unreachable = unreachable;
  if (!client_.health().failed(endpoint.where.base, monotonic_now_ns())) return;
  if (endpoints_.size() < 2) return;
  Error clean = scrubbed(error);
  client_.log().warn(
      "image", "registry host " + url_host(endpoint.where.base) + " rests: " + clean.message());
}

Error RegistrySession::scrubbed(Error error) const {
  std::vector<std::string> secrets = secrets_;
  for (const auto& endpoint : endpoints_) {
    const std::string& header = endpoint->authorization;
    add_secret(secrets, header.substr(std::min(header.find(' ') + 1, header.size())));
  }
  error.subject = without_secrets(std::move(error.subject), secrets);
  error.context = without_secrets(std::move(error.context), secrets);
  return error;
}

// An attempt that brought bytes is not one of the attempts that failed: a line that is cut again
// and again still ends. Such progress is bounded too, so that one byte per connection does not go
// on for ever.
Task<HttpResponse> RegistrySession::with_retries(Endpoint& endpoint, Ask ask, RegistryBody& body) {
  constexpr std::uint64_t kProgressMin = 16'384;
  const RegistryOptions& options = client_.options();
  const std::string what =
      ask.method + " " + printable_url(ask.url.empty() ? url_of(endpoint, ask.rest) : ask.url);
  std::int64_t delay_ms = options.retry_delay_ms;
  unsigned failed = 0;
  while (true) {
    const std::uint64_t before = body.offset();
    Result<HttpResponse> response = co_await authorised(endpoint, ask, body).result();
    const bool answered = response.ok();
    std::int64_t wait_ms = delay_ms;
    Error error;
    if (answered) {
      if (is_success(response->status)) {
        client_.health().succeeded(endpoint.where.base);
        endpoint.unreachable = false;
        co_return response;
      }
      error = status_error(*response);
      const bool range_refused = response->status == 416 && !body.without_range();
      if (range_refused) body.refuse_range();
      if (!may_pass(response->status) && !range_refused) co_return std::move(error).with(what);
      wait_ms = retry_after_ms(*response).value_or(delay_ms);
    } else {
      error = std::move(response).error();
      ask.fresh_connection = true;
      ask.http1 = ask.http1 || error.sys_errno == EPROTO;
      const bool passing = error.is(Errc::unavailable) || error.is(Errc::deadline_exceeded);
      if (error.is(Errc::failed_precondition)) judge(endpoint, error, true);
      if (!passing || body.given_up()) co_return std::move(error).with(what);
    }
    const bool progress = body.offset() >= before + kProgressMin;
    failed = progress ? 0 : failed + 1;
    const bool unreachable = !answered && body.offset() == before;
    if (failed >= ask.attempts_max || (unreachable && ask.has_fallback)) {
      judge(endpoint, error, unreachable);
      co_return std::move(error).with(what);
    }
    delay_ms = progress ? options.retry_delay_ms : delay_ms * 2;
    if (progress) continue;
    const Deadline pause = Deadline::after_ms(std::min(wait_ms, options.retry_delay_ms_max));
    co_await client_.ring().sleep_until(pause);
  }
}

}  // namespace berth::image
