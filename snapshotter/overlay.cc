// SPDX-License-Identifier: Apache-2.0
#include "snapshotter/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/linux/openat2.h"
#include "core/ring/offload.h"
#include "core/store/record.h"
#include "snapshotter/usage.h"

namespace berth::snapshotter {
namespace {

using plugins::SnapshotInfo;
using plugins::SnapshotKind;
using plugins::SnapshotMount;
using plugins::SnapshotUsage;

constexpr std::size_t kKeySizeMax = 255;

Status validate_key(std::string_view key) {
  if (!key.empty() && key.size() <= kKeySizeMax && key.find('/') == std::string_view::npos &&
      key.find('\0') == std::string_view::npos) {
    return {};
  }
  return make_error(Errc::invalid_argument, "snapshot key `" +
                                                std::string(key.substr(0, kKeySizeMax)) +
                                                "` is not 1 to 255 bytes without '/' and zero");
}

Error no_snapshot(const std::string& key) {
  return make_error(Errc::not_found, "snapshot `" + key + "`");
}

std::string encode(const OverlayRecord& record) {
  return store::RecordWriter()
      .u64(record.id)
      .u8(static_cast<std::uint8_t>(record.kind))
      .string(record.parent)
      .i64(record.created_at_ns)
      .bytes();
}

OverlayRecord decode(std::string_view bytes) {
  store::RecordReader fields(bytes);
  OverlayRecord record;
  record.id = fields.u64();
  record.kind = static_cast<SnapshotKind>(fields.u8());
  record.parent = fields.string();
  record.created_at_ns = fields.i64();
  return record;
}

Result<std::optional<OverlayRecord>> find_in(const store::State& state, store::Table table,
                                             const std::string& key) {
  TRY(const std::optional<std::string> bytes, state.get(table, key));
  if (!bytes) return std::optional<OverlayRecord>();
  return std::optional<OverlayRecord>(decode(*bytes));
}

SnapshotInfo info_of(std::string_view key, const OverlayRecord& record) {
  return {std::string(key), record.parent, record.kind, record.created_at_ns};
}

Status make_dirs(const std::string& path) {
  if (::mkdir(path.c_str(), 0711) == 0 || errno == EEXIST) return {};
  const std::size_t slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) {
    return sys_error(errno, "mkdir", path);
  }
  TRY_(make_dirs(path.substr(0, slash)));
  if (::mkdir(path.c_str(), 0711) == 0 || errno == EEXIST) return {};
  return sys_error(errno, "mkdir", path);
}

}  // namespace

Overlay::Overlay(Ring& ring, Log& log, Parts parts)
    : ring_(ring),
      log_(log),
      layout_(std::move(parts.layout)),
      active_(std::move(parts.active)),
      committed_(std::move(parts.committed)),
      dirfd_(std::move(parts.dirfd)),
      trash_(std::move(parts.trash)),
      trees_(ring, log, dirfd_.get(), parts.ready_trees) {}

Result<std::unique_ptr<Overlay>> Overlay::create(Ring& ring, Log& log, OverlayOptions options) {
  TRY_(make_dirs(options.dir));
  TRY_(make_dirs(options.state_dir));
  OverlayLayout layout(options.dir);
  TRY(UniqueFd dirfd, sys::openat(AT_FDCWD, options.dir, O_RDONLY | O_DIRECTORY));
  TRY(store::State active, store::State::open(options.state_dir, {.durable = false}));
  TRY(store::State committed, store::State::open(layout.meta(), {.durable = true}));
  TRY(std::unique_ptr<Trash> trash, Trash::open(ring, log, dirfd.get(), OverlayLayout::kTrash));
  return std::unique_ptr<Overlay>(
      new Overlay(ring, log,
                  {std::move(layout), std::move(active), std::move(committed), std::move(dirfd),
                   std::move(trash), options.ready_trees}));
}

Result<std::optional<OverlayRecord>> Overlay::find_active(const std::string& key) const {
  return find_in(active_, kActiveTable, key);
}

Result<std::optional<OverlayRecord>> Overlay::find_committed(const std::string& name) const {
  if (removing_.count(name) != 0) return std::optional<OverlayRecord>();
  return find_in(committed_, kCommittedTable, name);
}

Result<OverlayRecord> Overlay::find(const std::string& key) const {
  TRY_(validate_key(key));
  TRY(std::optional<OverlayRecord> active, find_active(key));
  if (active) return *std::move(active);
  TRY(std::optional<OverlayRecord> committed, find_committed(key));
  if (committed) return *std::move(committed);
  return no_snapshot(key);
}

Status Overlay::require_free(const std::string& key) const {
  Result<OverlayRecord> found = find(key);
  if (found.ok()) return make_error(Errc::already_exists, "snapshot `" + key + "`");
  if (found.error().is(Errc::not_found)) return {};
  return std::move(found).error();
}

Result<std::vector<std::uint64_t>> Overlay::chain_of(const std::string& parent) const {
  std::vector<std::uint64_t> ids;
  if (parent.empty()) return ids;
  TRY(const store::ReadTxn txn, committed_.begin_read());
  std::string name = parent;
  while (!name.empty()) {
    TRY(const std::optional<std::string> bytes, txn.get(kCommittedTable, name));
    if (!bytes || removing_.count(name) != 0) {
      TRY(const std::optional<OverlayRecord> active, find_active(name));
      if (active && name == parent) {
        return make_error(Errc::failed_precondition,
                          "parent snapshot `" + name + "` is not committed");
      }
      return make_error(Errc::not_found, "parent snapshot `" + name + "`");
    }
    OverlayRecord record = decode(*bytes);
    ids.push_back(record.id);
    name = std::move(record.parent);
  }
  return ids;
}

Result<bool> Overlay::has_children(const std::string& name) const {
  bool found = false;
  const auto visit = [&found, &name](std::string_view, std::string_view bytes) {
    found = decode(bytes).parent == name;
    return !found;
  };
  TRY_(active_.for_each(kActiveTable, visit));
  if (!found) TRY_(committed_.for_each(kCommittedTable, visit));
  return found;
}

// The root of the merged tree is the upperdir itself, so copy owner and mode from the layer below;
// else every container's root would be root's and 0755. Most images have just that.
Task<void> Overlay::match_root(std::uint64_t id, std::uint64_t parent_id) {
  const std::string below = OverlayLayout::fs_name(parent_id);
  const std::string own = OverlayLayout::fs_name(id);
  struct stat wanted {};
  struct stat present {};
  if (::fstatat(dirfd_.get(), below.c_str(), &wanted, 0) != 0 ||
      ::fstatat(dirfd_.get(), own.c_str(), &present, 0) != 0) {
    co_await fail(sys_error(errno, "stat", layout_.fs(parent_id)));
  }
  const bool same_owner = wanted.st_uid == present.st_uid && wanted.st_gid == present.st_gid;
  if (same_owner && wanted.st_mode == present.st_mode) co_return;
  auto work = [this, &own, &wanted, same_owner]() -> Status {
    if (!same_owner &&
        ::fchownat(dirfd_.get(), own.c_str(), wanted.st_uid, wanted.st_gid, 0) != 0) {
      return sys_error(errno, "chown", own);
    }
    // After chown, which clears special bits.
    if (::fchmodat(dirfd_.get(), own.c_str(), wanted.st_mode & 07777, 0) != 0) {
      return sys_error(errno, "chmod", own);
    }
    return {};
  };
  co_await offload(ring_, work);
}

Task<void> Overlay::record_or_discard(std::string key, OverlayRecord record) {
  Status recorded;
  // The parent may have been removed during the wait for directories.
  if (!record.parent.empty()) {
    const auto parent = find_committed(record.parent);
    if (!parent.ok()) {
      recorded = parent.error();
    } else if (!parent.value().has_value()) {
      recorded = make_error(Errc::not_found, "parent snapshot `" + record.parent + "`");
    }
  }
  if (recorded.ok()) recorded = active_.put(kActiveTable, key, encode(record));
  if (recorded.ok()) co_return;
  // The directory has no record now; if it cannot be moved to the trash, recover() finds it.
  static_cast<void>(trash_->take(dirfd_.get(), OverlayLayout::name(record.id)));
  trash_->empty();
  co_await std::move(recorded);
}

Task<std::vector<SnapshotMount>> Overlay::add(std::string key, std::string parent,
                                              SnapshotKind kind) {
  co_await require_free(key);
  const std::vector<std::uint64_t> parents = co_await chain_of(parent);
  const std::uint64_t id = co_await trees_.take();
  OverlayRecord record{id, kind, parent, realtime_now_ns()};
  if (!parents.empty()) {
    Result<void> matched = co_await match_root(id, parents.front()).result();
    if (!matched.ok()) {
      static_cast<void>(trash_->take(dirfd_.get(), OverlayLayout::name(id)));
      co_await std::move(matched);
    }
  }
  co_await record_or_discard(key, record);
  co_return overlay_mounts(layout_, record, parents);
}

Task<std::vector<SnapshotMount>> Overlay::prepare(std::string key, std::string parent) {
  return add(std::move(key), std::move(parent), SnapshotKind::active);
}

Task<std::vector<SnapshotMount>> Overlay::view(std::string key, std::string parent) {
  return add(std::move(key), std::move(parent), SnapshotKind::view);
}

Task<std::vector<SnapshotMount>> Overlay::mounts(std::string key) {
  const OverlayRecord record = co_await find(key);
  if (record.kind == SnapshotKind::committed) {
    co_await fail(Errc::failed_precondition, "snapshot `" + key + "` is committed: use a view");
  }
  const std::vector<std::uint64_t> parents = co_await chain_of(record.parent);
  // The agent may have died between a mount and the start of its container. The node has not been
  // down since then (the record is on tmpfs), so the upper tree is complete.
  const std::string mark = OverlayLayout::volatile_mark(record.id);
  ::unlinkat(dirfd_.get(), (mark + "/dirty").c_str(), 0);
  ::unlinkat(dirfd_.get(), mark.c_str(), AT_REMOVEDIR);
  co_return overlay_mounts(layout_, record, parents);
}

Task<void> Overlay::rebase(std::string key, std::string parent) {
  co_await validate_key(key);
  std::optional<OverlayRecord> record = co_await find_active(key);
  if (!record) co_await fail(no_snapshot(key));
  if (record->kind != SnapshotKind::active || !record->parent.empty()) {
    co_await fail(Errc::failed_precondition,
                  "snapshot `" + key + "` is a view or has a parent already");
  }
  const std::vector<std::uint64_t> parents = co_await chain_of(parent);
  static_cast<void>(parents);  // for the error only: each of them exists
  record->parent = parent;
  const std::string bytes = encode(*record);
  co_await active_.put(kActiveTable, key, bytes);
}

Task<void> Overlay::commit(std::string name, std::string key) {
  co_await validate_key(key);
  std::optional<OverlayRecord> record = co_await find_active(key);
  if (!record) co_await fail(no_snapshot(key));
  if (record->kind != SnapshotKind::active) {
    co_await fail(Errc::failed_precondition, "snapshot `" + key + "` is a view");
  }
  if (name != key) co_await require_free(name);
  record->kind = SnapshotKind::committed;
  const std::string bytes = encode(*record);
  // Waits for the disk.
  auto work = [this, &name, &bytes] { return committed_.put(kCommittedTable, name, bytes); };
  co_await offload(ring_, work);
  co_await active_.erase(kActiveTable, key);
  const std::string work_dir = OverlayLayout::work_name(record->id);
  // The workdir has only the kernel's own directories. If a mount still uses it, it stays, which is
  // harmless.
  ::unlinkat(dirfd_.get(), (work_dir + "/work").c_str(), AT_REMOVEDIR);
  ::unlinkat(dirfd_.get(), work_dir.c_str(), AT_REMOVEDIR);
}

Task<void> Overlay::remove(std::string key) {
  const OverlayRecord record = co_await find(key);
  if (record.kind == SnapshotKind::committed) {
    const bool is_parent = co_await has_children(key);
    if (is_parent) {
      co_await fail(Errc::failed_precondition, "snapshot `" + key + "` has children");
    }
    co_await erase_committed(key);
  } else {
    co_await active_.erase(kActiveTable, key);
  }
  // The snapshot is removed now; its bytes are deleted later.
  co_await trash_->take(dirfd_.get(), OverlayLayout::name(record.id));
  trash_->empty();
}

// Durable, so it waits for the disk. A prepare() meanwhile does not find this parent any more.
Task<void> Overlay::erase_committed(const std::string& name) {
  removing_.insert(name);
  auto work = [this, &name] { return committed_.erase(kCommittedTable, name); };
  Result<bool> erased = co_await offload(ring_, work).result();
  removing_.erase(name);
  if (!erased.ok()) co_await fail(std::move(erased).error());
}

Task<SnapshotInfo> Overlay::stat(std::string key) {
  const OverlayRecord record = co_await find(key);
  co_return info_of(key, record);
}

Task<SnapshotUsage> Overlay::usage(std::string key) {
  const OverlayRecord record = co_await find(key);
  const std::string fs = OverlayLayout::fs_name(record.id);
  const UniqueFd tree = co_await sys::openat(dirfd_.get(), fs, O_RDONLY | O_DIRECTORY);
  auto work = [&tree] { return tree_usage(tree.get()); };
  SnapshotUsage used = co_await offload(ring_, work);
  co_return used;
}

Task<std::vector<SnapshotInfo>> Overlay::walk() {
  std::vector<SnapshotInfo> all;
  const store::RecordVisitor visit = [&all](std::string_view key, std::string_view bytes) {
    all.push_back(info_of(key, decode(bytes)));
    return true;
  };
  co_await committed_.for_each(kCommittedTable, visit);
  co_await active_.for_each(kActiveTable, visit);
  co_return all;
}

Task<void> Overlay::close() {
  co_await trees_.close();
  co_await trash_->close();
}

}  // namespace berth::snapshotter
