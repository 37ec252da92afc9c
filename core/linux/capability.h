// SPDX-License-Identifier: Apache-2.0
// Capabilities as bits of a 64-bit mask: bit n is capability n of linux/capability.h.
// capabilities(7).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/result.h"

namespace berth::sys {

constexpr std::uint64_t capability_bit(int number) {
  return std::uint64_t{1} << number;
}

// Accepts "CAP_NET_ADMIN" and "NET_ADMIN", also in lower case; nullopt for an unknown name.
std::optional<int> capability_from_name(std::string_view name);
// The permitted set of the calling thread; a launcher can grant no more than this.
Result<std::uint64_t> capability_permitted();

// The default set of docker and containerd for a container without capability settings.
std::uint64_t capability_container_default();

}  // namespace berth::sys
