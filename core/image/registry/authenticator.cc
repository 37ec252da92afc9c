// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/authenticator.h"

#include <utility>

#include "core/image/http/url.h"
#include "core/image/registry/redirects.h"
#include "core/image/registry/status.h"
#include "core/image/registry/token.h"

namespace berth::image {
namespace {

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

}  // namespace

void Authenticator::add_read_scope(const std::string& repository) {
  extra_scopes_.push_back(repository_scope(repository, false));
}

Task<HttpResponse> Authenticator::send(SessionEndpoint& endpoint, RegistryRequest request,
                                       RegistryBody& body) {
  const std::string used = endpoint.authorization;
  HttpResponse response = co_await exchange_with_redirects(client_, endpoint, request, body, used);
  const bool challenged = response.status == 401 && response.header("www-authenticate") != nullptr;
  if (!challenged) co_return response;
  co_await answer_challenge(endpoint, std::move(response), used);
  HttpResponse again = co_await exchange_with_redirects(client_, endpoint, std::move(request), body,
                                                        endpoint.authorization);
  co_return again;
}

// Sets the endpoint's authorization to one that answers the challenge, unless another call has
// already replaced the refused one.
Task<void> Authenticator::answer_challenge(SessionEndpoint& endpoint, HttpResponse response,
                                           std::string refused) {
  Mutex::Guard guard = co_await endpoint.token_mutex.lock();
  if (endpoint.authorization != refused) co_return;
  const std::string header = *response.header("www-authenticate");
  Challenge challenge = co_await parse_challenge(header);
  if (challenge.scheme == "bearer") {
    std::string token;
    // A token that the CRI gave is not exchanged for another.
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
  secrets_.add_value_of(endpoint.authorization);
  const bool nothing_new = endpoint.authorization == refused;
  if (!nothing_new) co_return;
  const std::string why = refused.empty() ? "the registry wants credentials and there are none"
                                          : "the credentials were refused";
  Error error = make_error(Errc::unauthenticated, status_error(response).subject + ": " + why);
  co_await fail(std::move(error));
}

Task<std::string> Authenticator::fetch_token(SessionEndpoint& endpoint, Challenge challenge) {
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

}  // namespace berth::image
