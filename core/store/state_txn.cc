// SPDX-License-Identifier: Apache-2.0
// Transactions of State and the bytes of a record.
#include <errno.h>
#include <sys/statvfs.h>

#include <utility>

#include "core/store/checksum.h"
#include "core/store/lmdb_bytes.h"
#include "core/store/record.h"
#include "core/store/state.h"

namespace berth::store {
namespace {

constexpr std::size_t kTableNameSizeMax = 32;

bool file_system_full(const std::string& dir) {
  struct statvfs room {};
  return ::statvfs(dir.c_str(), &room) == 0 && room.f_blocks != 0 && room.f_bavail == 0;
}

bool table_name_valid(std::string_view name) {
  if (name.empty() || name.size() > kTableNameSizeMax) return false;
  for (const char c : name) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!allowed) return false;
  }
  return true;
}

}  // namespace

Error lmdb_error(int code, std::string_view op, const std::string& dir) {
  // A short pwrite is EIO to LMDB; on a full file system it means ENOSPC.
  if (code == EIO && file_system_full(dir)) code = ENOSPC;
  if (code > 0) return sys_error(code, op, dir);
  Errc errc = Errc::internal;
  switch (code) {
    case MDB_MAP_FULL:
    case MDB_READERS_FULL:
      errc = Errc::resource_exhausted;
      break;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
      errc = Errc::data_loss;
      break;
    case MDB_VERSION_MISMATCH:
      errc = Errc::failed_precondition;
      break;
    default:
      break;
  }
  return make_error(errc, std::string(op) + " `" + dir + "`: " + ::mdb_strerror(code));
}

Result<std::string> disk_key(Table table, std::string_view key) {
  CHECK(table_name_valid(table.name));
  if (key.empty() || key.size() > kKeySizeMax) {
    return make_error(Errc::invalid_argument, "store key in table " + std::string(table.name) +
                                                  " has " + std::to_string(key.size()) +
                                                  " bytes, not 1 to " +
                                                  std::to_string(kKeySizeMax));
  }
  std::string joined;
  joined.reserve(table.name.size() + 1 + key.size());
  joined.append(table.name).append(1, '\0').append(key);
  return joined;
}

std::string encode_record(std::uint8_t version, std::string_view key_on_disk,
                          std::string_view payload) {
  const char version_byte = static_cast<char>(version);
  std::uint32_t sum = crc32c(key_on_disk);
  sum = crc32c({&version_byte, 1}, sum);
  sum = crc32c(payload, sum);
  std::string bytes = RecordWriter().u8(version).u32(sum).bytes();
  bytes.append(payload);
  return bytes;
}

const char* record_damage(std::string_view key_on_disk, std::string_view value_on_disk,
                          std::optional<std::uint8_t> version) {
  if (value_on_disk.size() < kRecordHeaderSize) return "shorter than its header";
  RecordReader header(value_on_disk.substr(0, kRecordHeaderSize));
  const std::uint8_t found_version = header.u8();
  const std::uint32_t expected = header.u32();
  std::uint32_t sum = crc32c(key_on_disk);
  sum = crc32c(value_on_disk.substr(0, 1), sum);
  sum = crc32c(value_on_disk.substr(kRecordHeaderSize), sum);
  if (sum != expected) return "checksum does not match";
  if (version && found_version != *version) return "record of another version";
  return nullptr;
}

ReadTxn::ReadTxn(ReadTxn&& other) noexcept
    : txn_(std::exchange(other.txn_, nullptr)), dbi_(other.dbi_), dir_(other.dir_) {}

ReadTxn::~ReadTxn() {
  if (txn_ != nullptr) ::mdb_txn_abort(txn_);
}

Result<std::optional<std::string>> ReadTxn::get(Table table, std::string_view key) const {
  CHECK(txn_ != nullptr);
  TRY(const std::string on_disk, disk_key(table, key));
  MDB_val key_val = to_val(on_disk);
  MDB_val found{};
  const int rc = ::mdb_get(txn_, dbi_, &key_val, &found);
  if (rc == MDB_NOTFOUND) return std::optional<std::string>();
  if (rc != 0) return lmdb_error(rc, "read store", *dir_);
  const std::string_view value = to_view(found);
  if (const char* why = record_damage(on_disk, value, table.version)) {
    return make_error(Errc::data_loss, "store record `" + std::string(table.name) + "/" +
                                           std::string(key) + "` in `" + *dir_ + "`: " + why);
  }
  return std::optional<std::string>(std::string(value.substr(kRecordHeaderSize)));
}

Status ReadTxn::for_each(Table table, const RecordVisitor& visit, std::string_view prefix) const {
  CHECK(txn_ != nullptr && table_name_valid(table.name));
  const std::string name_end = std::string(table.name) + '\0';
  const std::string begin = name_end + std::string(prefix);
  MDB_cursor* cursor = nullptr;
  if (const int rc = ::mdb_cursor_open(txn_, dbi_, &cursor)) {
    return lmdb_error(rc, "read store", *dir_);
  }
  MDB_val key_val = to_val(begin);
  MDB_val value{};
  int rc = ::mdb_cursor_get(cursor, &key_val, &value, MDB_SET_RANGE);
  while (rc == 0) {
    const std::string_view on_disk = to_view(key_val);
    if (on_disk.substr(0, begin.size()) != begin) break;
    if (record_damage(on_disk, to_view(value), table.version) == nullptr &&
        !visit(on_disk.substr(name_end.size()), to_view(value).substr(kRecordHeaderSize))) {
      break;
    }
    rc = ::mdb_cursor_get(cursor, &key_val, &value, MDB_NEXT);
  }
  ::mdb_cursor_close(cursor);
  if (rc != 0 && rc != MDB_NOTFOUND) return lmdb_error(rc, "read store", *dir_);
  return {};
}

Status WriteTxn::store(Table table, std::string_view key, std::string_view value, bool replace) {
  CHECK(txn_ != nullptr);
  TRY(const std::string on_disk, disk_key(table, key));
  const std::string record = encode_record(table.version, on_disk, value);
  MDB_val key_val = to_val(on_disk);
  MDB_val value_val = to_val(record);
  const int rc = ::mdb_put(txn_, dbi_, &key_val, &value_val, replace ? 0 : MDB_NOOVERWRITE);
  if (rc == MDB_KEYEXIST) {
    return make_error(Errc::already_exists,
                      "store record `" + std::string(table.name) + "/" + std::string(key) + "`");
  }
  if (rc != 0) return lmdb_error(rc, "write store", *dir_);
  return {};
}

Status WriteTxn::put(Table table, std::string_view key, std::string_view value) {
  return store(table, key, value, true);
}

Status WriteTxn::insert(Table table, std::string_view key, std::string_view value) {
  return store(table, key, value, false);
}

Result<bool> WriteTxn::erase(Table table, std::string_view key) {
  CHECK(txn_ != nullptr);
  TRY(const std::string on_disk, disk_key(table, key));
  MDB_val key_val = to_val(on_disk);
  const int rc = ::mdb_del(txn_, dbi_, &key_val, nullptr);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return lmdb_error(rc, "write store", *dir_);
  return true;
}

Status WriteTxn::commit() {
  CHECK(txn_ != nullptr);
  // LMDB has ended the transaction, also when it returns an error.
  const int rc = ::mdb_txn_commit(std::exchange(txn_, nullptr));
  if (rc != 0) return lmdb_error(rc, "commit store", *dir_);
  return {};
}

}  // namespace berth::store
