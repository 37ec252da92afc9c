// SPDX-License-Identifier: Apache-2.0
#include "core/store/checksum.h"

#include <isa-l/crc.h>

namespace berth::store {

// ISA-L's iSCSI checksum is CRC-32C without the inversion before and after. It only reads.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) noexcept {
  auto* const data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  return ~::crc32_iscsi(data, static_cast<int>(bytes.size()), ~seed);
}

}  // namespace berth::store
