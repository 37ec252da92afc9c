// SPDX-License-Identifier: Apache-2.0
// Capabilities as bits of a 64-bit mask: bit n is capability n of linux/capability.h.
// capabilities(7).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::sys {

constexpr std::uint64_t capability_bit(int number) {
  return std::uint64_t{1} << number;
}

// "CAP_NET_ADMIN", "NET_ADMIN" and either in lower case; nothing for an unknown name.
std::optional<int> capability_from_name(std::string_view name);
// "CAP_NET_ADMIN"; empty for a number that has no name.
std::string_view capability_name(int number);
std::vector<std::string_view> capability_names(std::uint64_t mask);
// Every capability this kernel knows (/proc/sys/kernel/cap_last_cap).
Result<std::uint64_t> capability_all();
// The permitted set of the calling thread: what a launcher can give to others.
Result<std::uint64_t> capability_permitted();

// docker's and containerd's default set for a container that asks for nothing.
std::uint64_t capability_container_default();

}  // namespace berth::sys
