// SPDX-License-Identifier: Apache-2.0
// The part of the registry client that knows who we are: redirects, challenges, tokens, waiting.
#include <chrono>
#include <condition_variable>
#include <nlohmann/json.hpp>

#include "core/image/registry.h"

namespace berth::image {
namespace {

constexpr int kRedirectsMax = 8;
constexpr std::int64_t kTokenTimeoutMs = 30'000;

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

class TokenSink final : public BodySink {
 public:
  Status begin(const HttpResponse&) override { return {}; }
  Status write(const char* data, std::size_t size) override {
    constexpr std::size_t kTokenSizeMax = 256 * 1024;
    if (bytes.size() + size > kTokenSizeMax) {
      return make_error(Errc::unavailable, "the token response is larger than 256 KiB");
    }
    bytes.append(data, size);
    return {};
  }
  std::string bytes;
};

std::string parameter(const Challenge& challenge, const char* name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? std::string() : found->second;
}

// A header value with a line break would be two headers.
bool is_printable(const std::string& text) {
  for (const char c : text) {
    if (c <= ' ' || c >= 127) return false;
  }
  return !text.empty();
}

}  // namespace

std::string Repository::authorization() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return authorization_;
}

Result<Repository::Answer> Repository::follow(const HttpRequest& request,
                                              const std::string& authorization, BodySink& sink) {
  TRY(const std::string home, url_origin(request.url));
  HttpRequest hop = request;
  for (int hops = 0; hops <= kRedirectsMax; ++hops) {
    TRY(const std::string origin, url_origin(hop.url));
    hop.headers = request.headers;
    if (sink.offset() > 0) {
      hop.headers.push_back("Range: bytes=" + std::to_string(sink.offset()) + "-");
    }
    if (!authorization.empty() && origin == home) {
      hop.headers.push_back("Authorization: " + authorization);
    }
    TRY(HttpResponse response, transport_.exchange(hop, sink, stop_));
    const std::string* location = response.header("location");
    if (!is_redirect(response.status) || location == nullptr) {
      return Answer{std::move(response), hop.url};
    }
    TRY(const std::string target, resolve_url(hop.url, *location));
    TRY(const std::string target_origin, url_origin(target));
    if (origin.starts_with("https:") && !target_origin.starts_with("https:")) {
      return make_error(Errc::permission_denied,
                        "redirected from https to " + printable_url(target));
    }
    hop.url = target;
  }
  return make_error(Errc::failed_precondition, "redirected more than 8 times");
}

Result<Repository::Answer> Repository::authorised(const HttpRequest& request, BodySink& sink) {
  const std::string used = authorization();
  TRY(Answer answer, follow(request, used, sink));
  if (answer.response.status != 401) return answer;
  // Only our registry may ask who we are, not a host it redirected us to.
  TRY(const std::string asker, url_origin(answer.url));
  TRY(const std::string home, url_origin(request.url));
  if (asker != home) return answer;
  TRY_(answer_challenge(answer.response, used));
  return follow(request, authorization(), sink);
}

Status Repository::answer_challenge(const HttpResponse& response, const std::string& refused) {
  const std::lock_guard<std::mutex> one_at_a_time(token_mutex_);
  if (authorization() != refused) return {};
  const std::string* header = response.header("www-authenticate");
  if (header == nullptr) {
    return make_error(Errc::unauthenticated, "HTTP 401 without WWW-Authenticate");
  }
  TRY(const Challenge challenge, parse_challenge(*header));
  std::string answer;
  if (challenge.scheme == "basic") {
    if (auth_.username.empty()) {
      return make_error(Errc::unauthenticated,
                        "the registry asks for credentials and there are none");
    }
    answer = "Basic " + base64_encode(auth_.username + ":" + auth_.password);
    if (answer == refused) {
      return make_error(Errc::unauthenticated, "the registry refuses the user name or password");
    }
  } else if (challenge.scheme == "bearer") {
    if (!auth_.registry_token.empty()) {
      return make_error(Errc::unauthenticated, "the registry refuses the registry token");
    }
    Result<std::string> token = fetch_token(challenge);
    if (!token.ok()) return std::move(token).error().with("token for " + path_);
    answer = "Bearer " + *token;
  } else {
    return make_error(Errc::unauthenticated,
                      "authentication scheme `" + challenge.scheme + "` is not supported");
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  authorization_ = std::move(answer);
  return {};
}

// The distribution project's token protocol: GET with basic authentication, or the OAuth2 form with
// a refresh token.
Result<HttpRequest> Repository::token_request(const Challenge& challenge) const {
  const std::string realm = parameter(challenge, "realm");
  const std::string service = parameter(challenge, "service");
  std::string scope = parameter(challenge, "scope");
  if (scope.empty()) scope = "repository:" + path_ + ":pull";
  TRY(const std::string origin, url_origin(realm));
  const bool secret = !auth_.username.empty() || !auth_.identity_token.empty();
  if (secret && origin.starts_with("http:") && !base_.starts_with("http:")) {
    return make_error(Errc::permission_denied,
                      "credentials are not sent to " + printable_url(realm) + " without TLS");
  }
  HttpRequest request;
  request.timeout_ms = kTokenTimeoutMs;
  request.url = realm;
  if (!auth_.identity_token.empty()) {
    request.method = "POST";
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = "grant_type=refresh_token&client_id=berth&service=" + url_escape(service) +
                   "&scope=" + url_escape(scope) +
                   "&refresh_token=" + url_escape(auth_.identity_token);
    return request;
  }
  request.url += realm.find('?') == std::string::npos ? '?' : '&';
  if (!service.empty()) request.url += "service=" + url_escape(service) + "&";
  request.url += "scope=" + url_escape(scope);
  if (!auth_.username.empty()) {
    request.headers = {"Authorization: Basic " +
                       base64_encode(auth_.username + ":" + auth_.password)};
  }
  return request;
}

Result<std::string> Repository::fetch_token(const Challenge& challenge) {
  TRY(const HttpRequest request, token_request(challenge));
  TokenSink sink;
  const std::string what = request.method + " " + printable_url(request.url);
  Result<HttpResponse> response = transport_.exchange(request, sink, stop_);
  if (!response.ok()) return std::move(response).error().with(what);
  if (response->status != 200) {
    const bool refused = response->status == 401 || response->status == 403;
    return make_error(refused ? Errc::unauthenticated : Errc::unavailable,
                      what + ": HTTP " + std::to_string(response->status));
  }
  const nlohmann::json document = nlohmann::json::parse(sink.bytes, nullptr, false);
  for (const char* name : {"token", "access_token"}) {
    if (!document.is_object()) break;
    const auto found = document.find(name);
    if (found == document.end() || !found->is_string()) continue;
    std::string token = found->get<std::string>();
    if (is_printable(token)) return token;
  }
  return make_error(Errc::unauthenticated, what + ": the answer has no token");
}

Status Repository::pause(std::int64_t delay_ms) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock<std::mutex> lock(mutex);
  never.wait_for(lock, stop_, std::chrono::milliseconds(delay_ms), [] { return false; });
  if (stop_.stop_requested()) return make_error(Errc::cancelled, "given up");
  return {};
}

}  // namespace berth::image
