// SPDX-License-Identifier: Apache-2.0
// Tar headers for fuzz targets. Without a correct checksum most mutations would be rejected at the
// first header.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace berth::fuzz {

constexpr std::size_t kTarBlock = 512;

// pax(1): the sum of the header's bytes, in which the checksum field counts as spaces.
inline void set_checksum(char* header) {
  std::memset(header + 148, ' ', 8);
  unsigned sum = 0;
  for (std::size_t i = 0; i < kTarBlock; ++i) sum += static_cast<unsigned char>(header[i]);
  std::snprintf(header + 148, 8, "%06o", sum & 0777777u);
}

// The input with correct checksums in all headers.
inline std::vector<char> with_checksums(const std::uint8_t* data, std::size_t size) {
  std::vector<char> tar(data, data + size);
  for (std::size_t at = 0; at + kTarBlock <= size; at += kTarBlock) {
    if (std::memcmp(tar.data() + at + 257, "ustar", 5) == 0) set_checksum(tar.data() + at);
  }
  return tar;
}

// A regular file as a member of a tar: header, bytes, padding. `name` has less than 100 bytes.
inline std::string tar_member(const std::string& name, const std::string& bytes) {
  std::string out(kTarBlock, '\0');
  std::memcpy(out.data(), name.data(), name.size());
  std::snprintf(&out[100], 8, "%07o", 0644u);
  std::snprintf(&out[124], 12, "%011zo", bytes.size());
  out[156] = '0';
  std::memcpy(&out[257], "ustar\00000", 8);
  set_checksum(out.data());
  out += bytes;
  out.append((kTarBlock - bytes.size() % kTarBlock) % kTarBlock, '\0');
  return out;
}

}  // namespace berth::fuzz
