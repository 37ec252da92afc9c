// SPDX-License-Identifier: Apache-2.0
// The part of a session that knows who we are: redirects, challenges, tokens.
#include <algorithm>

#include "core/image/http/url.h"
#include "core/image/registry/client.h"
#include "core/image/registry/session.h"
#include "core/image/registry/status.h"
#include "core/image/registry/token.h"

namespace berth::image {
namespace {

constexpr int kRedirectsMax = 8;
constexpr std::int64_t kTokenTimeoutMs = 30'000;
constexpr std::size_t kTokenSizeMax = 256 * 1024;

class TokenSink final : public DownloadSink {
 public:
  Result<Took> write(std::string_view piece) override {
    if (bytes.size() + piece.size() > kTokenSizeMax) {
      return make_error(Errc::unauthenticated, "the token response is larger than 256 KiB");
    }
    bytes.append(piece);
    return Took::all;
  }
  std::string bytes;
};

// For an origin that is not the endpoint's own: whom we trust is the same, who we are is not told.
std::shared_ptr<const TlsOptions> without_identity(const std::shared_ptr<const TlsOptions>& tls) {
  if (tls == nullptr || tls->client_cert.empty()) return tls;
  auto copy = std::make_shared<TlsOptions>(*tls);
  copy->client_cert.clear();
  copy->client_key.clear();
  return copy;
}

}  // namespace

// Without what is only for the endpoint's own origin.
HttpRequest RegistrySession::hop(const Endpoint& endpoint, const Ask& ask,
                                 const RegistryBody& body) const {
  const RegistryOptions& options = client_.options();
  HttpRequest request;
  request.method = ask.method;
  request.headers = ask.headers;
  request.body = ask.body;
  request.upload = ask.upload;
  if (!body.without_range()) {
    request.headers.push_back("Range: bytes=" + std::to_string(body.offset()) + "-");
  }
  request.connect_timeout_ms =
      ask.patient ? options.connect_timeout_ms
                  : std::min(options.mirror_connect_timeout_ms, options.connect_timeout_ms);
  if (endpoint.where.connect_timeout_ms > 0) {
    request.connect_timeout_ms = endpoint.where.connect_timeout_ms;
  }
  request.fresh_connection = ask.fresh_connection;
  request.http1 = ask.http1;
  request.low_speed_bytes_per_s = options.low_speed_bytes_per_s;
  request.low_speed_s =
      ask.patient ? options.low_speed_s : std::min(options.low_speed_s, options.mirror_low_speed_s);
  request.upload_answer_s = options.upload_answer_s;
  if (ask.is_document) {
    request.timeout_ms =
        ask.patient ? options.document_timeout_ms : options.mirror_document_timeout_ms;
  }
  return request;
}

Task<HttpResponse> RegistrySession::follow(Endpoint& endpoint, Ask ask, RegistryBody& body,
                                           std::string authorization) {
  std::string url = ask.url.empty() ? url_of(endpoint, ask.rest) : ask.url;
  if (ask.url.empty() && !endpoint.where.ns.empty()) url += "?ns=" + url_escape(endpoint.where.ns);
  const std::string home = co_await url_origin(endpoint.where.base);
  for (int hops = 0; hops <= kRedirectsMax; ++hops) {
    const std::string origin = co_await url_origin(url);
    HttpRequest request = hop(endpoint, ask, body);
    request.url = url;
    request.proxy = proxy_for(client_.proxies(), url);
    const bool at_home = origin == home;
    request.tls = at_home ? endpoint.where.tls : without_identity(endpoint.where.tls);
    if (at_home) {
      for (const std::string& header : endpoint.where.headers) request.headers.push_back(header);
      // A configured Authorization header is an answer to no challenge: ours replaces it.
      if (!authorization.empty()) {
        std::erase_if(request.headers, [](const std::string& header) {
          constexpr std::string_view kName = "authorization:";
          return header.size() > kName.size() &&
                 std::equal(kName.begin(), kName.end(), header.begin(),
                            [](char a, char b) { return a == std::tolower(b); });
        });
        request.headers.push_back("Authorization: " + authorization);
      }
    }
    HttpResponse response = co_await client_.http().exchange(std::move(request), body);
    const std::string* location = response.header("location");
    if (!is_redirect(response.status) || location == nullptr) {
      // Only the endpoint itself may ask who we are.
      if (response.status == 401 && !at_home) response.headers.erase("www-authenticate");
      co_return response;
    }
    std::string target = co_await resolve_url(url, *location);
    const std::string target_origin = co_await url_origin(target);
    if (origin.starts_with("https:") && !target_origin.starts_with("https:")) {
      co_return make_error(Errc::permission_denied,
                           "redirected from https to " + printable_url(target));
    }
    url = std::move(target);
  }
  co_return make_error(Errc::failed_precondition, "redirected more than 8 times");
}

Task<HttpResponse> RegistrySession::authorised(Endpoint& endpoint, Ask ask, RegistryBody& body) {
  const std::string used = endpoint.authorization;
  HttpResponse response = co_await follow(endpoint, ask, body, used);
  const bool asked = response.status == 401 && response.header("www-authenticate") != nullptr;
  if (!asked) co_return response;
  co_await answer_challenge(endpoint, std::move(response), used);
  HttpResponse again = co_await follow(endpoint, std::move(ask), body, endpoint.authorization);
  co_return again;
}

// Makes the next request one that answers the challenge, unless another call already replaced what
// was refused.
Task<void> RegistrySession::answer_challenge(Endpoint& endpoint, HttpResponse response,
                                             std::string refused) {
  Mutex::Guard guard = co_await endpoint.token_mutex.lock();
  if (endpoint.authorization != refused) co_return;
  const std::string header = *response.header("www-authenticate");
  Challenge challenge = co_await parse_challenge(header);
  if (challenge.scheme == "bearer") {
    std::string token;
    // One that we were given is all there is.
    const bool given = !endpoint.auth.registry_token.empty();
    if (given) {
      token = endpoint.auth.registry_token;
    } else {
      token = co_await fetch_token(endpoint, std::move(challenge));
    }
    endpoint.authorization = "Bearer " + token;
  } else if (challenge.scheme == "basic" && !endpoint.auth.username.empty()) {
    endpoint.authorization =
        "Basic " + base64_encode(endpoint.auth.username + ":" + endpoint.auth.password);
  }
  const bool nothing_new = endpoint.authorization == refused;
  if (!nothing_new) co_return;
  const std::string why = refused.empty() ? "the registry wants credentials and there are none"
                                          : "the credentials were refused";
  Error error = make_error(Errc::unauthenticated, status_error(response).subject + ": " + why);
  co_await fail(std::move(error));
}

Task<std::string> RegistrySession::fetch_token(Endpoint& endpoint, Challenge challenge) {
  TokenQuestion question;
  question.challenge = std::move(challenge);
  question.auth = endpoint.auth;
  question.asker = endpoint.where.base;
  const bool push = access_ == Access::push;
  question.scopes = extra_scopes_;
  if (question.challenge.parameters["scope"].empty() || push) {
    question.scopes.insert(question.scopes.begin(), repository_scope(endpoint.where.path, push));
  }
  HttpRequest request = co_await token_request(question);
  const std::string origin = co_await url_origin(request.url);
  const std::string home = co_await url_origin(endpoint.where.base);
  request.tls = origin == home ? endpoint.where.tls : without_identity(endpoint.where.tls);
  request.proxy = proxy_for(client_.proxies(), request.url);
  request.timeout_ms = kTokenTimeoutMs;
  const std::string what = request.method + " " + printable_url(request.url);
  TokenSink sink;
  Result<HttpResponse> response =
      co_await client_.http().exchange(std::move(request), sink).result();
  if (!response.ok()) co_return std::move(response).error().with(what);
  if (!is_success(response->status)) {
    Error error = status_error(*response);
    const bool refused = !may_pass(response->status);
    error.code = refused ? Errc::unauthenticated : Errc::unavailable;
    co_return std::move(error).with(what);
  }
  Result<std::string> token = parse_token(sink.bytes);
  if (!token.ok()) co_return std::move(token).error().with(what);
  co_return token;
}

void RegistrySession::also_read(const std::string& repository) {
  extra_scopes_.push_back(repository_scope(repository, false));
}

}  // namespace berth::image
