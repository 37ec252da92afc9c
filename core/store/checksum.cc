// SPDX-License-Identifier: Apache-2.0
#include "core/store/checksum.h"

#include <array>

namespace berth::store {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;

// Four bits at a time: a table of 64 bytes stays in one cache line, and records are short.
constexpr std::array<std::uint32_t, 16> make_table() {
  std::array<std::uint32_t, 16> table{};
  for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
    std::uint32_t sum = nibble;
    for (int bit = 0; bit < 4; ++bit) sum = (sum >> 1) ^ ((sum & 1) != 0 ? kPolynomial : 0);
    table[nibble] = sum;
  }
  return table;
}

constexpr auto kTable = make_table();

}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) noexcept {
  std::uint32_t sum = ~seed;
  for (const char c : bytes) {
    sum ^= static_cast<unsigned char>(c);
    sum = (sum >> 4) ^ kTable[sum & 15];
    sum = (sum >> 4) ^ kTable[sum & 15];
  }
  return ~sum;
}

}  // namespace berth::store
