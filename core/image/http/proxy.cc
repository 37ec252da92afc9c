// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/proxy.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/image/http/url.h"

namespace berth::image {
namespace {

std::string variable(const char* upper, const char* lower) {
  for (const char* name : {upper, lower}) {
    const char* value = ::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

std::string_view without_brackets(std::string_view host) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return host.substr(1, host.size() - 2);
  }
  return host;
}

struct Address {
  unsigned char bytes[16] = {};
  unsigned bits = 0;  // 32 or 128
};

std::optional<Address> parse_address(std::string_view text) {
  const std::string copy(text);
  Address address;
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes) == 1) {
    address.bits = 32;
    return address;
  }
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes) == 1) {
    address.bits = 128;
    return address;
  }
  return std::nullopt;
}

// "10.0.0.0/8"
bool in_network(std::string_view host, std::string_view network) {
  const std::size_t slash = network.find('/');
  if (slash == std::string_view::npos) return false;
  const auto address = parse_address(host);
  const auto base = parse_address(network.substr(0, slash));
  unsigned prefix = 0;
  const std::string_view digits = network.substr(slash + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (!address || !base || address->bits != base->bits || parsed.ec != std::errc() ||
      prefix > base->bits) {
    return false;
  }
  const std::size_t whole = prefix / 8;
  if (std::memcmp(address->bytes, base->bytes, whole) != 0) return false;
  if (prefix % 8 == 0) return true;
  const unsigned shift = 8 - prefix % 8;
  return address->bytes[whole] >> shift == base->bytes[whole] >> shift;
}

// Host and port of "host:port", "[::1]:80" or either without a port.
struct HostPort {
  std::string_view host;
  std::string_view port;
};
HostPort split(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  const bool has_port =
      colon != std::string_view::npos &&
      (bracket == std::string_view::npos ? text.find(':') == colon : colon > bracket);
  if (!has_port) return {without_brackets(text), {}};
  return {without_brackets(text.substr(0, colon)), text.substr(colon + 1)};
}

bool excepted(std::string_view list, const HostPort& target) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view entry = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (!entry.empty() && entry.front() == ' ') entry.remove_prefix(1);
    while (!entry.empty() && entry.back() == ' ') entry.remove_suffix(1);
    if (entry.empty()) continue;
    if (entry == "*" || in_network(target.host, entry)) return true;
    const HostPort wanted = split(entry);
    if (!wanted.port.empty() && wanted.port != target.port) continue;
    std::string_view name = wanted.host;
    if (name.starts_with("*.")) name.remove_prefix(1);
    if (name.empty()) continue;
    if (name.front() == '.'
            ? target.host.ends_with(name)
            : target.host == name || target.host.ends_with("." + std::string(name))) {
      return true;
    }
  }
  return false;
}

}  // namespace

ProxySettings ProxySettings::from_environment() {
  return {variable("HTTP_PROXY", "http_proxy"), variable("HTTPS_PROXY", "https_proxy"),
          variable("NO_PROXY", "no_proxy")};
}

std::string proxy_for(const ProxySettings& settings, const std::string& url) {
  Result<std::string> origin = url_origin(url);
  if (!origin.ok()) return {};
  const bool https = origin->starts_with("https:");
  const std::string& proxy = https ? settings.https : settings.http;
  const std::string host = origin->substr(origin->find("://") + 3);
  if (proxy.empty() || is_loopback_host(host)) return {};
  return excepted(settings.no_proxy, split(host)) ? std::string() : proxy;
}

}  // namespace berth::image
