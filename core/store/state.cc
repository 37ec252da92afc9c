// SPDX-License-Identifier: Apache-2.0
// Opening an environment, and the one-line forms of a transaction.
#include "core/store/state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "core/base/unique_fd.h"
#include "core/store/lmdb_bytes.h"
#include "core/store/record.h"

namespace berth::store {
namespace {

constexpr Table kFormatTable{"format", 1};
constexpr std::string_view kFormatKey = "store";
constexpr std::string_view kFormat = "berth-store-1";

// Some ten removals; their old pages serve the next ones.
constexpr std::uint64_t kReserve = 256_KiB;

// One State per directory: the lock lives as long as the descriptor, so a killed agent leaves none.
Result<UniqueFd> lock_dir(const std::string& dir) {
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) return sys_error(errno, "mkdir", dir);
  UniqueFd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return sys_error(errno, "open", dir);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return sys_error(errno, "flock", dir);
    return make_error(Errc::failed_precondition, "store `" + dir + "` is in use by another agent");
  }
  return fd;
}

// LMDB maps data.mdb and trusts its meta page about the length: a page beyond the end of a file cut
// short would be SIGBUS. With zeros there it is an invalid page, which LMDB answers as
// MDB_CORRUPTED. A file whose last pages were allocated and freed in one transaction looks the
// same.
Status pad_to_last_page(MDB_env* env, const std::string& dir) {
  MDB_envinfo info{};
  MDB_stat stat{};
  ::mdb_env_info(env, &info);
  ::mdb_env_stat(env, &stat);
  const auto needed = static_cast<off_t>((info.me_last_pgno + 1) * stat.ms_psize);
  int fd = -1;
  if (const int rc = ::mdb_env_get_fd(env, &fd)) return lmdb_error(rc, "open store", dir);
  struct stat file {};
  if (::fstat(fd, &file) != 0) return sys_error(errno, "fstat", dir + "/data.mdb");
  if (file.st_size < needed && ::ftruncate(fd, needed) != 0) {
    return sys_error(errno, "ftruncate", dir + "/data.mdb");
  }
  return {};
}

Result<std::uint32_t> open_database(MDB_env* env, const std::string& dir) {
  MDB_txn* txn = nullptr;
  if (const int rc = ::mdb_txn_begin(env, nullptr, 0, &txn)) {
    return lmdb_error(rc, "open store", dir);
  }
  MDB_dbi dbi = 0;
  if (const int rc = ::mdb_dbi_open(txn, nullptr, 0, &dbi)) {
    ::mdb_txn_abort(txn);
    return lmdb_error(rc, "open store", dir);
  }
  if (const int rc = ::mdb_txn_commit(txn)) return lmdb_error(rc, "open store", dir);
  return dbi;
}

// The damaged records of `txn`, as disk key and reason.
Result<std::vector<std::pair<std::string, std::string>>> find_damaged(
    MDB_txn* txn, MDB_dbi dbi, const std::string& dir, const std::vector<Table>& tables) {
  std::map<std::string_view, std::uint8_t> versions;
  for (const Table& table : tables) versions[table.name] = table.version;
  MDB_cursor* cursor = nullptr;
  if (const int rc = ::mdb_cursor_open(txn, dbi, &cursor)) return lmdb_error(rc, "read store", dir);
  std::vector<std::pair<std::string, std::string>> damaged;
  MDB_val key{};
  MDB_val value{};
  int rc = 0;
  while ((rc = ::mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    const std::string_view on_disk = to_view(key);
    const std::string_view table = on_disk.substr(0, on_disk.find('\0'));
    if (table == kQuarantineTable.name) continue;
    const auto known = versions.find(table);
    const auto version = known == versions.end() ? std::optional<std::uint8_t>() : known->second;
    if (const char* why = record_damage(on_disk, to_view(value), version)) {
      damaged.emplace_back(on_disk, why);
    }
  }
  ::mdb_cursor_close(cursor);
  if (rc != MDB_NOTFOUND) return lmdb_error(rc, "read store", dir);
  return damaged;
}

Quarantined describe(std::string_view on_disk, std::string_view reason) {
  const std::size_t zero = on_disk.find('\0');
  Quarantined told{std::string(on_disk.substr(0, zero)), {}, std::string(reason)};
  if (zero != std::string_view::npos) told.key = on_disk.substr(zero + 1);
  return told;
}

}  // namespace

State::State(std::string dir, MDB_env* env, std::uint32_t dbi, int lock_fd) noexcept
    : dir_(std::move(dir)), env_(env), dbi_(dbi), lock_fd_(lock_fd) {}

State::State(State&& other) noexcept
    : dir_(std::move(other.dir_)),
      env_(std::exchange(other.env_, nullptr)),
      dbi_(other.dbi_),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      durable_(other.durable_),
      allocated_(other.allocated_) {}

State::~State() {
  if (env_ != nullptr) ::mdb_env_close(env_);
  UniqueFd{lock_fd_}.reset();  // last: LMDB must have closed the directory first
}

Result<State> State::open(std::string dir, StateOptions options) {
  TRY(UniqueFd lock, lock_dir(dir));
  MDB_env* env = nullptr;
  if (const int rc = ::mdb_env_create(&env)) return lmdb_error(rc, "open store", dir);
  // From here on the State closes the environment, however this function ends.
  State state(std::move(dir), env, 0, lock.release());
  state.durable_ = options.durable;
  ::mdb_env_set_mapsize(env, options.map_size);
  // NOTLS: a reader's slot belongs to the transaction, not the thread, so threads leave none
  // behind. No WRITEMAP: a store into a mapped page of a full tmpfs is SIGBUS; pwrite is an error.
  unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
  if (!options.durable) flags |= MDB_NOSYNC;
  if (const int rc = ::mdb_env_open(env, state.dir_.c_str(), flags, 0600)) {
    return lmdb_error(rc, "open store", state.dir_);
  }
  TRY_(pad_to_last_page(env, state.dir_));
  TRY(state.dbi_, open_database(env, state.dir_));

  auto format = state.get(kFormatTable, kFormatKey);
  if (!format.ok()) return std::move(format).error().with("store format");
  if (!format->has_value()) {
    TRY_(state.put(kFormatTable, kFormatKey, kFormat));
  } else if (**format != kFormat) {
    return make_error(Errc::failed_precondition, "store `" + state.dir_ + "` has format `" +
                                                     **format + "`, this program knows `" +
                                                     std::string(kFormat) + "`");
  }
  return state;
}

Result<ReadTxn> State::begin_read() const {
  MDB_txn* txn = nullptr;
  if (const int rc = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn)) {
    return lmdb_error(rc, "read store", dir_);
  }
  return ReadTxn(txn, dbi_, &dir_);
}

Result<WriteTxn> State::begin_write() {
  MDB_txn* txn = nullptr;
  if (const int rc = ::mdb_txn_begin(env_, nullptr, 0, &txn)) {
    return lmdb_error(rc, "write store", dir_);
  }
  keep_reserve();
  return WriteTxn(txn, dbi_, &dir_);
}

// Without disk space, and on a filesystem without fallocate, the reserve does not change.
void State::keep_reserve() noexcept {
  if (!durable_) return;
  MDB_envinfo info{};
  MDB_stat stat{};
  int fd = -1;
  ::mdb_env_info(env_, &info);
  ::mdb_env_stat(env_, &stat);
  const std::uint64_t wanted = (info.me_last_pgno + 1) * stat.ms_psize + kReserve;
  if (wanted <= allocated_ || ::mdb_env_get_fd(env_, &fd) != 0) return;
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(wanted)) == 0) allocated_ = wanted;
}

Status State::write(const std::function<Status(WriteTxn&)>& body) {
  TRY(WriteTxn txn, begin_write());
  TRY_(body(txn));
  return txn.commit();
}

Status State::put(Table table, std::string_view key, std::string_view value) {
  TRY(WriteTxn txn, begin_write());
  TRY_(txn.put(table, key, value));
  return txn.commit();
}

Result<bool> State::erase(Table table, std::string_view key) {
  TRY(WriteTxn txn, begin_write());
  TRY(const bool found, txn.erase(table, key));
  TRY_(txn.commit());
  return found;
}

Result<std::optional<std::string>> State::get(Table table, std::string_view key) const {
  TRY(const ReadTxn txn, begin_read());
  return txn.get(table, key);
}

Status State::for_each(Table table, const RecordVisitor& visit, std::string_view prefix) const {
  TRY(const ReadTxn txn, begin_read());
  return txn.for_each(table, visit, prefix);
}

Status State::quarantine_on_disk(const std::string& on_disk, std::string_view reason) {
  TRY(WriteTxn txn, begin_write());
  MDB_val key = to_val(on_disk);
  MDB_val value{};
  const int rc = ::mdb_get(txn.txn_, dbi_, &key, &value);
  if (rc == MDB_NOTFOUND) return {};
  if (rc != 0) return lmdb_error(rc, "read store", dir_);
  const std::string record =
      RecordWriter().string(on_disk).string(reason).string(to_view(value)).bytes();
  // Numbered, because a disk key may be too long or damaged itself, and none may replace another.
  const std::string number = std::to_string(realtime_now_ns());
  TRY_(txn.insert(kQuarantineTable, number, record));
  if (const int deleted = ::mdb_del(txn.txn_, dbi_, &key, nullptr)) {
    return lmdb_error(deleted, "write store", dir_);
  }
  return txn.commit();
}

Status State::quarantine(Table table, std::string_view key, std::string_view reason) {
  TRY(const std::string on_disk, disk_key(table, key));
  return quarantine_on_disk(on_disk, reason);
}

Result<std::vector<Quarantined>> State::quarantine_damaged(const std::vector<Table>& tables) {
  TRY(const ReadTxn txn, begin_read());
  TRY(const auto damaged, find_damaged(txn.txn_, dbi_, dir_, tables));
  std::vector<Quarantined> moved;
  for (const auto& [on_disk, why] : damaged) {
    TRY_(quarantine_on_disk(on_disk, why));
    moved.push_back(describe(on_disk, why));
  }
  return moved;
}

Result<std::vector<Quarantined>> State::quarantined() const {
  std::vector<Quarantined> all;
  TRY_(for_each(kQuarantineTable, [&all](std::string_view, std::string_view value) {
    RecordReader fields(value);
    const std::string_view on_disk = fields.string();
    all.push_back(describe(on_disk, fields.string()));
    return true;
  }));
  return all;
}

}  // namespace berth::store
