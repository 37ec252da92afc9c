// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/cidr.h"

#include <arpa/inet.h>

#include <charconv>

namespace berth::networking::cni {

bool is_address(const std::string& text) {
  unsigned char binary[16];
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  return ::inet_pton(family, text.c_str(), binary) == 1;
}

std::string address_of(const std::string& cidr) {
  const std::size_t slash = cidr.find('/');
  if (slash == std::string::npos) return {};
  std::string address = cidr.substr(0, slash);
  unsigned length = 0;
  const char* const end = cidr.data() + cidr.size();
  const auto [stop, failed] = std::from_chars(cidr.data() + slash + 1, end, length);
  const unsigned most = address.find(':') == std::string::npos ? 32 : 128;
  if (failed != std::errc() || stop != end || length > most || !is_address(address)) return {};
  return address;
}

}  // namespace berth::networking::cni
