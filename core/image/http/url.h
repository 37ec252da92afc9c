// SPDX-License-Identifier: Apache-2.0
// URLs (RFC 3986) as the registry client needs them, by libcurl's parser, so that the checked host
// is the host of the request.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

// scheme://host:port of a URL, with the default port filled in. invalid_argument: not an http(s)
// URL. Two URLs of one origin may get the same credentials.
Result<std::string> url_origin(const std::string& url);
// `location` relative to `base` (RFC 3986 section 5).
Result<std::string> resolve_url(const std::string& base, const std::string& location);
// Without query, user and fragment, which may contain secrets; for error texts.
std::string printable_url(const std::string& url);
std::string url_escape(std::string_view text);
// "127.0.0.1", "localhost", "[::1]", with or without a port.
bool is_loopback_host(std::string_view host);
// HOST[:PORT] of a URL as it is written there; empty when there is none.
std::string url_host(const std::string& url);

// An endpoint of a configuration file, written as a URL or as "host[:port][/path]".
struct EndpointAddress {
  std::string scheme;  // "https" when there is none
  std::string host;    // "mirror:5000"
  std::string path;    // "" or "/prefix", without a slash at the end
};
// invalid_argument: not an http or https address, or one with user, query or fragment.
Result<EndpointAddress> parse_endpoint_address(std::string_view text);

}  // namespace berth::image
