// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/token.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/image/http/url.h"

namespace berth::image {
namespace {

std::string parameter(const Challenge& challenge, const char* name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? std::string() : found->second;
}

// A line break in a header value would start another header.
bool is_printable(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 127; });
}

// The challenge's scopes first, then the further ones of the question.
std::vector<std::string> all_scopes(const TokenQuestion& question) {
  std::vector<std::string> scopes;
  std::istringstream words(parameter(question.challenge, "scope"));
  for (std::string word; words >> word;) scopes.push_back(word);
  for (const std::string& scope : question.scopes) {
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.push_back(scope);
  }
  return scopes;
}

}  // namespace

std::string repository_scope(const std::string& repository, bool push) {
  return "repository:" + repository + (push ? ":pull,push" : ":pull");
}

Result<HttpRequest> token_request(const TokenQuestion& question) {
  const std::string realm = parameter(question.challenge, "realm");
  const std::string service = parameter(question.challenge, "service");
  Result<std::string> origin = url_origin(realm);
  if (!origin.ok()) {
    return make_error(Errc::unauthenticated, "the bearer challenge's realm is not a URL");
  }
  const AuthConfig& auth = question.auth;
  const bool has_secret = !auth.identity_token.empty() || !auth.password.empty();
  if (has_secret && question.asker.starts_with("https:") && !origin->starts_with("https:")) {
    return make_error(
        Errc::permission_denied,
        "the registry would have credentials sent without TLS to " + printable_url(realm));
  }
  const std::vector<std::string> scopes = all_scopes(question);
  HttpRequest request;
  request.url = realm;
  if (!auth.identity_token.empty()) {
    std::string joined;
    for (const std::string& scope : scopes) joined += (joined.empty() ? "" : " ") + scope;
    request.method = "POST";
    request.headers = {"Content-Type: application/x-www-form-urlencoded"};
    request.body = "grant_type=refresh_token&client_id=berth&service=" + url_escape(service) +
                   "&scope=" + url_escape(joined) +
                   "&refresh_token=" + url_escape(auth.identity_token);
    return request;
  }
  request.url += realm.find('?') == std::string::npos ? '?' : '&';
  if (!service.empty()) request.url += "service=" + url_escape(service) + "&";
  for (const std::string& scope : scopes) request.url += "scope=" + url_escape(scope) + "&";
  request.url.pop_back();
  if (!auth.username.empty()) {
    request.headers = {"Authorization: Basic " +
                       base64_encode(auth.username + ":" + auth.password)};
  }
  return request;
}

Result<std::string> parse_token(std::string_view body) {
  const nlohmann::json document = nlohmann::json::parse(body, nullptr, false);
  for (const char* name : {"token", "access_token"}) {
    if (!document.is_object()) break;
    const auto found = document.find(name);
    if (found == document.end() || !found->is_string()) continue;
    std::string token = found->get<std::string>();
    if (is_printable(token)) return token;
  }
  return make_error(Errc::unauthenticated, "the answer has no token");
}

}  // namespace berth::image
