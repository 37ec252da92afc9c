// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/session.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/image/http/url.h"
#include "core/image/registry/client.h"

namespace berth::image {
namespace {

constexpr const char* kAcceptManifests =
    "Accept: application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, */*";

// A 4xx or 501 to a HEAD may refuse the method, so GET may succeed. A 401 never does.
bool refuses_head(const Error& error) {
  return error.is(Errc::not_found) || error.is(Errc::permission_denied) ||
         error.is(Errc::invalid_argument) || error.is(Errc::unimplemented) ||
         error.is(Errc::unknown);
}

// The errors of the endpoints asked before the last one, shortened.
class EarlierErrors {
 public:
  void add(const SessionEndpoint& endpoint, const Error& error) {
    constexpr std::size_t kShown = 200;
    if (endpoint.where.is_fallback) return;
    text_ += (text_.empty() ? "" : "; ") + url_host(endpoint.where.base) + ": " +
             error.subject.substr(0, kShown);
  }
  std::string text() const { return text_.empty() ? "" : " (before it, " + text_ + ")"; }

 private:
  std::string text_;
};

}  // namespace

RegistrySession::RegistrySession(RegistryClient& client, oci::Reference reference, Access access)
    : client_(client),
      reference_(std::move(reference)),
      authenticator_(client, access, secrets_),
      retries_(client, authenticator_, endpoints_, secrets_) {
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
  TRY_(session->endpoints_.fill(std::move(route), auth, session->reference_, session->secrets_));
  return session;
}

Task<RemoteDocument> RegistrySession::head_manifest(std::string name) {
  RegistryRequest request;
  request.method = "HEAD";
  request.rest = "/manifests/" + name;
  request.headers.emplace_back(kAcceptManifests);
  Result<oci::Digest> digest = oci::Digest::parse(name);
  request.resolves = !digest.ok();
  DocumentBody body(digest.ok() ? *digest : oci::Digest());
  body.only_head();
  Result<HttpResponse> response = co_await request_any(std::move(request), body).result();
  if (response.ok()) co_return std::move(body.document());
  // Some registries and proxies implement GET only. Also, the answer to a refused HEAD has no body
  // with the registry's reason.
  const bool get_may_serve = refuses_head(response.error());
  if (!get_may_serve) co_await std::move(response);
  RemoteDocument document = co_await get_manifest(std::move(name));
  co_return document;
}

Task<RemoteDocument> RegistrySession::get_manifest(std::string name) {
  RegistryRequest request;
  request.rest = "/manifests/" + name;
  request.headers.emplace_back(kAcceptManifests);
  Result<oci::Digest> digest = oci::Digest::parse(name);
  request.resolves = !digest.ok();
  DocumentBody body(digest.ok() ? *digest : oci::Digest());
  HttpResponse response = co_await request_any(std::move(request), body);
  co_return std::move(body.document());
}

Task<std::uint64_t> RegistrySession::get_blob(oci::Descriptor blob, std::uint64_t offset,
                                              DownloadSink& sink) {
  if (offset > blob.size) {
    Error error = make_error(Errc::out_of_range,
                             "blob " + blob.digest.text() + ": the offset is beyond its end");
    co_await fail(std::move(error));
  }
  if (offset == blob.size) co_return 0;
  RegistryRequest request;
  request.rest = "/blobs/" + blob.digest.text();
  request.digest = blob.digest.text();
  request.is_document = false;
  BlobBody body(blob, offset, sink);
  HttpResponse response = co_await request_any(std::move(request), body);
  co_return body.transferred();
}

bool RegistrySession::reject(const oci::Digest& blob) {
  return endpoints_.reject(blob.text());
}

Task<HttpResponse> RegistrySession::with_retries(SessionEndpoint& endpoint, RegistryRequest request,
                                                 RegistryBody& body) {
  return retries_.send(endpoint, std::move(request), body);
}

void RegistrySession::add_read_scope(const std::string& repository) {
  authenticator_.add_read_scope(repository);
}

Task<SessionEndpoint*> RegistrySession::push_endpoint() {
  const SessionEndpoints::PushTarget target = endpoints_.push_target();
  if (target.endpoint == nullptr) {
    Error error = make_error(Errc::failed_precondition,
                             reference_.repository() + ": no configured host may be pushed to");
    co_await fail(std::move(error));
  }
  if (target.fallback == nullptr) co_return target.endpoint;
  // Any answer shows that the host speaks TLS; every registry answers this request.
  RegistryRequest request;
  request.url = target.endpoint->where.base + "/";
  request.has_fallback = true;
  AnyBody body;
  Result<HttpResponse> answer =
      co_await with_retries(*target.endpoint, std::move(request), body).result();
  const bool cancelled = !answer.ok() && answer.error().is(Errc::cancelled);
  if (cancelled) co_await std::move(answer);
  co_return target.endpoint->unreachable ? target.fallback : target.endpoint;
}

// Sends the request to one endpoint after the other until one serves it.
Task<HttpResponse> RegistrySession::request_any(RegistryRequest request, RegistryBody& body) {
  const std::vector<SessionEndpoint*> order = endpoints_.order(request, client_.health());
  Error last = make_error(Errc::failed_precondition,
                          reference_.repository() + ": no configured host may answer that");
  EarlierErrors earlier;
  const SessionEndpoint* asked = nullptr;
  for (std::size_t i = 0; i < order.size(); ++i) {
    SessionEndpoint& endpoint = *order[i];
    if (endpoint.preferred != nullptr && !endpoint.preferred->unreachable) continue;
    const auto next = order.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    request.has_fallback = next != order.end() && (*next)->preferred == &endpoint;
    request.patient =
        std::all_of(next, order.end(), [](SessionEndpoint* other) { return other->preferred; });
    request.attempts_max = request.patient ? client_.options().attempts_max : 1;
    const std::uint64_t before = body.offset();
    if (asked != nullptr) earlier.add(*asked, last);
    asked = &endpoint;
    Result<HttpResponse> response = co_await with_retries(endpoint, request, body).result();
    if (body.offset() > before) endpoints_.note_served(request.digest, &endpoint);
    Status verified;
    if (response.ok()) verified = body.verify(*response);
    if (response.ok() && verified.ok()) co_return response;
    if (response.ok()) {
      std::string what = request.method + " " + printable_url(endpoint.url_of(request));
      last = std::move(verified).error().with(what);
    } else {
      last = std::move(response).error();
    }
    const bool over = last.is(Errc::cancelled) || body.given_up();
    if (over) break;
  }
  last.subject += earlier.text();
  co_return secrets_.scrubbed(std::move(last));
}

}  // namespace berth::image
