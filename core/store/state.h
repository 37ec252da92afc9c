// SPDX-License-Identifier: Apache-2.0
// State is one LMDB environment: a directory with `data.mdb` and `lock.mdb` that holds tables of
// byte strings. Each record carries its table's version and a CRC-32C, so that a damaged one is
// found and quarantined instead of used.
//
// Access: one State per directory on the whole machine (a second open answers
// failed_precondition). Any thread may read. Writers exclude each other: a write transaction blocks
// the thread until the other's has ended, so it is short, stays on one thread and never lives
// across a co_await. A reader never waits for a writer and sees one consistent state.
//
// Durability: with `durable` a commit is on disk (fdatasync) when it returns. Without, it is in the
// page cache: it survives the death of the process, not of the node. tmpfs gives no more than that.
//
// A full disk: erasing a record writes pages anew, and erasing records is the way to free space. So
// a durable store keeps some space allocated beyond its use, and allocates it again before every
// write if the disk has room.
//
// Errors: data_loss (not a store of berth, or damaged beyond one record), failed_precondition
// (format of another version, or in use), resource_exhausted (map_size or the file system is full;
// names the directory), permission_denied, internal. After a failed commit nothing of the
// transaction is visible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/units.h"

struct MDB_env;
struct MDB_txn;

namespace berth::store {

// A table is a constant of the room that owns it: `constexpr Table kPods{"pods", 1};`. Names
// are 1..32 bytes of [a-z0-9_-]. `version` is of the records' layout; a record of another version
// reads as damaged.
struct Table {
  std::string_view name;
  std::uint8_t version = 1;
};

// Longest key in any table, in bytes; LMDB's own limit is 511 with the table's name.
constexpr std::size_t kKeySizeMax = 478;

struct StateOptions {
  std::size_t map_size = 256_MiB;  // address space, and the most that data.mdb can grow to
  bool durable = false;
};

// A record that was unreadable. Its bytes are kept in the table `quarantine`.
struct Quarantined {
  std::string table;
  std::string key;
  std::string reason;
};

// `return false` ends the walk. The views are valid during the call only.
using RecordVisitor = std::function<bool(std::string_view key, std::string_view value)>;

// A consistent view; it costs one slot of 126 and keeps old pages from reuse, so it is short-lived.
class ReadTxn {
 public:
  ReadTxn(ReadTxn&& other) noexcept;
  ReadTxn& operator=(ReadTxn&&) = delete;
  ~ReadTxn();

  // Absent: nullopt. Damaged: data_loss, and the record stays where it is.
  Result<std::optional<std::string>> get(Table table, std::string_view key) const;
  // Visits in key order the records whose key begins with `prefix`. Damaged records are
  // skipped: State::quarantine_damaged() reports them.
  Status for_each(Table table, const RecordVisitor& visit, std::string_view prefix = {}) const;

 protected:
  friend class State;
  ReadTxn(MDB_txn* txn, std::uint32_t dbi, const std::string* dir) noexcept
      : txn_(txn), dbi_(dbi), dir_(dir) {}

  MDB_txn* txn_;
  std::uint32_t dbi_;
  const std::string* dir_;
};

// Destroying it without commit() discards its writes. It reads its own writes.
class WriteTxn : public ReadTxn {
 public:
  WriteTxn(WriteTxn&&) noexcept = default;

  Status put(Table table, std::string_view key, std::string_view value);
  // already_exists when the key is there.
  Status insert(Table table, std::string_view key, std::string_view value);
  // True if the key existed.
  Result<bool> erase(Table table, std::string_view key);
  Status commit();

 private:
  friend class State;
  using ReadTxn::ReadTxn;
  Status store(Table table, std::string_view key, std::string_view value, bool replace);
};

class State {
 public:
  // Makes `dir` (0700) when missing; its parent must exist.
  static Result<State> open(std::string dir, StateOptions options);

  State(State&& other) noexcept;
  State& operator=(State&&) = delete;
  ~State();

  Result<ReadTxn> begin_read() const;
  Result<WriteTxn> begin_write();

  // The same in one line each: begin, do, commit when the body succeeds.
  Status write(const std::function<Status(WriteTxn&)>& body);
  Status put(Table table, std::string_view key, std::string_view value);
  Result<bool> erase(Table table, std::string_view key);
  Result<std::optional<std::string>> get(Table table, std::string_view key) const;
  Status for_each(Table table, const RecordVisitor& visit, std::string_view prefix = {}) const;

  // Moves one record to the table `quarantine`, whatever its state, with the reason. Never deletes.
  Status quarantine(Table table, std::string_view key, std::string_view reason);
  // Checks every record's checksum, and its version where `tables` names its table; moves the
  // damaged ones. Called once at start, before any record is used.
  Result<std::vector<Quarantined>> quarantine_damaged(const std::vector<Table>& tables);
  // The records that were moved, now and in earlier runs.
  Result<std::vector<Quarantined>> quarantined() const;

  const std::string& dir() const noexcept { return dir_; }

 private:
  State(std::string dir, MDB_env* env, std::uint32_t dbi, int lock_fd) noexcept;
  void keep_reserve() noexcept;
  Status quarantine_on_disk(const std::string& on_disk, std::string_view reason);

  std::string dir_;
  MDB_env* env_;
  std::uint32_t dbi_;
  int lock_fd_;
  bool durable_ = false;
  std::uint64_t allocated_ = 0;  // bytes of data.mdb from its beginning; under LMDB's write lock
};

}  // namespace berth::store
