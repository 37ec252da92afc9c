// SPDX-License-Identifier: Apache-2.0
// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78), as in RFC 3720 appendix B.4.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::store {

// `seed` is the checksum of what came before, so that parts can be summed one after another.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0) noexcept;

}  // namespace berth::store
