// SPDX-License-Identifier: Apache-2.0
#include "core/image/registry/redirects.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "core/image/http/url.h"
#include "core/image/registry/status.h"

namespace berth::image {
namespace {

constexpr int kRedirectsMax = 8;

// Everything of the HTTP request that may go to any origin.
HttpRequest common_part(const RegistryOptions& options, const SessionEndpoint& endpoint,
                        const RegistryRequest& asked, const RegistryBody& body) {
  HttpRequest request;
  request.method = asked.method;
  request.headers = asked.headers;
  request.body = asked.body;
  request.upload = asked.upload;
  if (!body.without_range()) {
    request.headers.push_back("Range: bytes=" + std::to_string(body.offset()) + "-");
  }
  request.connect_timeout_ms =
      asked.patient ? options.connect_timeout_ms
                    : std::min(options.mirror_connect_timeout_ms, options.connect_timeout_ms);
  if (endpoint.where.connect_timeout_ms > 0) {
    request.connect_timeout_ms = endpoint.where.connect_timeout_ms;
  }
  request.fresh_connection = asked.fresh_connection;
  request.http1 = asked.http1;
  request.low_speed_bytes_per_s = options.low_speed_bytes_per_s;
  request.low_speed_s = asked.patient ? options.low_speed_s
                                      : std::min(options.low_speed_s, options.mirror_low_speed_s);
  request.upload_answer_s = options.upload_answer_s;
  if (asked.is_document) {
    request.timeout_ms =
        asked.patient ? options.document_timeout_ms : options.mirror_document_timeout_ms;
  }
  return request;
}

bool is_authorization(const std::string& header) {
  constexpr std::string_view kName = "authorization:";
  return header.size() > kName.size() &&
         std::equal(kName.begin(), kName.end(), header.begin(),
                    [](char a, char b) { return a == std::tolower(b); });
}

// The headers for the endpoint's own origin. A configured Authorization header answers no
// challenge, so `authorization` replaces it.
void add_own_headers(const SessionEndpoint& endpoint, const std::string& authorization,
                     HttpRequest& request) {
  for (const std::string& header : endpoint.where.headers) request.headers.push_back(header);
  if (authorization.empty()) return;
  std::erase_if(request.headers, is_authorization);
  request.headers.push_back("Authorization: " + authorization);
}

}  // namespace

std::shared_ptr<const TlsOptions> without_identity(const std::shared_ptr<const TlsOptions>& tls) {
  if (tls == nullptr || tls->client_cert.empty()) return tls;
  auto copy = std::make_shared<TlsOptions>(*tls);
  copy->client_cert.clear();
  copy->client_key.clear();
  return copy;
}

Task<HttpResponse> exchange_with_redirects(RegistryClient& client, const SessionEndpoint& endpoint,
                                           RegistryRequest asked, RegistryBody& body,
                                           std::string authorization) {
  std::string url = endpoint.url_of(asked);
  const std::string& ns = endpoint.where.ns;
  if (asked.url.empty() && !ns.empty()) url += "?ns=" + url_escape(ns);
  const std::string home = co_await url_origin(endpoint.where.base);
  for (int redirects = 0; redirects <= kRedirectsMax; ++redirects) {
    const std::string origin = co_await url_origin(url);
    HttpRequest request = common_part(client.options(), endpoint, asked, body);
    request.url = url;
    request.proxy = proxy_for(client.proxies(), url);
    const bool at_home = origin == home;
    request.tls = at_home ? endpoint.where.tls : without_identity(endpoint.where.tls);
    if (at_home) {
      add_own_headers(endpoint, authorization, request);
    }
    HttpResponse response = co_await client.http().exchange(std::move(request), body);
    const std::string* location = response.header("location");
    if (!is_redirect(response.status) || location == nullptr) {
      // Another origin's challenge is not answered.
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

}  // namespace berth::image
