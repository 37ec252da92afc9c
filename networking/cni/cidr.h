// SPDX-License-Identifier: Apache-2.0
// IP addresses with a prefix length as text. Pure.
#pragma once

#include <string>

namespace berth::networking::cni {

bool is_address(const std::string& text);
// "10.1.0.2/16" gives "10.1.0.2"; empty: not an address with a prefix length.
std::string address_of(const std::string& cidr);

}  // namespace berth::networking::cni
