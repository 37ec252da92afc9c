// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>

#include <memory>

#include "core/image/http/url.h"

#include "core/base/text.h"

namespace berth::image {
namespace {

struct UrlFree {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, UrlFree>;

// For error texts, also of malformed URLs: a query may be a signature, and the text before an @ may
// be a password.
std::string shown(std::string_view text) {
  text = text.substr(0, text.find_first_of("?#"));
  const std::size_t slashes = text.find("//");
  const std::size_t host = slashes == std::string_view::npos ? 0 : slashes + 2;
  const std::string_view authority = text.substr(host, text.find('/', host) - host);
  const std::size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return shortened(text, 200);
  return shortened(std::string(text.substr(0, host)) + std::string(text.substr(host + at + 1)),
                   200);
}

Result<Url> parse_url(const std::string& text) {
  Url url(curl_url());
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return make_error(Errc::invalid_argument, "not a URL: " + shown(text));
  }
  return url;
}

std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

Result<std::string> url_origin(const std::string& text) {
  TRY(const Url url, parse_url(text));
  const std::string scheme = part(url, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") {
    return make_error(Errc::invalid_argument, "not an http or https URL: " + shown(text));
  }
  return scheme + "://" + part(url, CURLUPART_HOST) + ":" +
         part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

Result<std::string> resolve_url(const std::string& base, const std::string& location) {
  TRY(const Url url, parse_url(base));
  // Setting a relative URL on a handle that has a URL resolves it. Storage services put names with
  // unescaped blanks into queries.
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK) {
    return make_error(Errc::invalid_argument, "not a URL: " + shown(location));
  }
  return part(url, CURLUPART_URL);
}

std::string printable_url(const std::string& text) {
  Result<Url> url = parse_url(text);
  if (!url.ok()) return "(not a URL)";
  for (const CURLUPart secret :
       {CURLUPART_QUERY, CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    curl_url_set(url->get(), secret, nullptr, 0);
  }
  return part(*url, CURLUPART_URL);
}

std::string url_escape(std::string_view text) {
  char* escaped = curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size()));
  std::string copy = escaped == nullptr ? "" : escaped;
  curl_free(escaped);
  return copy;
}

std::string url_host(const std::string& text) {
  Result<Url> url = parse_url(text);
  if (!url.ok()) return {};
  const std::string port = part(*url, CURLUPART_PORT);
  return part(*url, CURLUPART_HOST) + (port.empty() ? "" : ":" + port);
}

Result<EndpointAddress> parse_endpoint_address(std::string_view text) {
  const bool has_scheme = text.find("://") != std::string_view::npos;
  const std::string whole = (has_scheme ? "" : "https://") + std::string(text);
  constexpr const char* kForm = "is not the address of a registry";
  for (const char c : text) {
    if (c <= ' ' || c >= 127) return make_error(Errc::invalid_argument, kForm);
  }
  Result<Url> url = parse_url(whole);
  if (!url.ok()) return make_error(Errc::invalid_argument, kForm);
  EndpointAddress address;
  address.scheme = part(*url, CURLUPART_SCHEME);
  for (const CURLUPart unwanted :
       {CURLUPART_QUERY, CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_FRAGMENT}) {
    if (!part(*url, unwanted).empty()) return make_error(Errc::invalid_argument, kForm);
  }
  if (address.scheme != "http" && address.scheme != "https") {
    return make_error(Errc::invalid_argument, "is neither http nor https");
  }
  address.host = part(*url, CURLUPART_HOST);
  const std::string port = part(*url, CURLUPART_PORT);
  if (!port.empty()) address.host += ":" + port;
  address.path = part(*url, CURLUPART_PATH);
  while (address.path.ends_with("/")) address.path.pop_back();
  return address;
}

bool is_loopback_host(std::string_view host) {
  if (host.starts_with("[")) return host.substr(0, host.find(']') + 1) == "[::1]";
  host = host.substr(0, host.find(':'));
  if (host == "localhost" || host.ends_with(".localhost")) return true;
  // 127.0.0.0/8, but not a name such as 127.example.org.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

}  // namespace berth::image
