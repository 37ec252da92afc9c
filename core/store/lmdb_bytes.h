// SPDX-License-Identifier: Apache-2.0
// Internal to this room: records and keys as LMDB's bytes. A key on disk is the table's name, a
// zero byte, the key; all tables share LMDB's one unnamed database, so that a transaction over
// several tables touches one tree. A value on disk is the version (1 byte), CRC-32C of disk key and
// payload (4 bytes, little-endian), the payload.
#pragma once

#include <lmdb.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/store/state.h"

namespace berth::store {

constexpr std::size_t kRecordHeaderSize = 5;
constexpr Table kQuarantineTable{"quarantine", 1};

inline MDB_val to_val(std::string_view bytes) {
  return MDB_val{bytes.size(), const_cast<char*>(bytes.data())};  // LMDB does not write through it
}
inline std::string_view to_view(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

// `code` is a positive errno or one of LMDB's negative numbers.
Error lmdb_error(int code, std::string_view op, const std::string& dir);
// invalid_argument for an empty or overlong key or an invalid table name.
Result<std::string> disk_key(Table table, std::string_view key);
std::string encode_record(std::uint8_t version, std::string_view key_on_disk,
                          std::string_view payload);
// The damage of the record, or nullptr. Without `version` only the checksum is compared.
const char* record_damage(std::string_view key_on_disk, std::string_view value_on_disk,
                          std::optional<std::uint8_t> version);

}  // namespace berth::store
