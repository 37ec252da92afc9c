// SPDX-License-Identifier: Apache-2.0
// The snapshotter "overlay": each snapshot is a directory with the differences to its parent, and a
// stack of them is mounted with overlayfs. plugins/api/snapshotter.h is the contract, layout.h has
// the paths. Each change of records is one transaction; directories are made ahead (tree_pool.h)
// and deleted later (trash.h).
//
// Order of steps, so that a crash anywhere leaves a whole snapshot or none:
//   prepare   directories, then the record                 a directory without a record is deleted
//   commit    the durable record, then erase the active    with both, the durable one counts
//   remove    the record, then the directory               as for prepare
// A container's start never waits for the disk here: only commit writes durably.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "core/store/state.h"
#include "plugins/api/snapshotter.h"
#include "snapshotter/layout.h"
#include "snapshotter/trash.h"
#include "snapshotter/tree_pool.h"

namespace berth::snapshotter {

struct OverlayOptions {
  // Both are created, with their parents, if they are missing.
  std::string dir;               // store::Layout::overlay_snapshots()
  std::string state_dir;         // store::Layout::snapshots_state(), on tmpfs
  std::size_t ready_trees = 32;  // directories kept ready for the next snapshots
};

// The mounts of `record`, whose parents' ids come nearest first. Pure.
std::vector<plugins::SnapshotMount> overlay_mounts(const OverlayLayout& layout,
                                                   const OverlayRecord& record,
                                                   const std::vector<std::uint64_t>& parents);

class Overlay final : public plugins::Snapshotter {
 public:
  // `ring` and `log` outlive the snapshotter. recover() first, close() last.
  static Result<std::unique_ptr<Overlay>> create(Ring& ring, Log& log, OverlayOptions options);

  std::string_view name() const override { return "overlay"; }
  Task<void> recover() override;
  Task<std::vector<plugins::SnapshotMount>> prepare(std::string key, std::string parent) override;
  Task<std::vector<plugins::SnapshotMount>> view(std::string key, std::string parent) override;
  Task<std::vector<plugins::SnapshotMount>> mounts(std::string key) override;
  Task<void> rebase(std::string key, std::string parent) override;
  Task<void> commit(std::string name, std::string key) override;
  Task<void> remove(std::string key) override;
  Task<plugins::SnapshotInfo> stat(std::string key) override;
  Task<plugins::SnapshotUsage> usage(std::string key) override;
  Task<std::vector<plugins::SnapshotInfo>> walk() override;
  Task<void> close() override;

  // Waits until the bytes of removed snapshots are deleted. For tests and tools.
  Task<void> wait_until_deleted() { return trash_->wait_until_empty(); }

 private:
  struct Parts {
    OverlayLayout layout;
    store::State active;
    store::State committed;
    UniqueFd dirfd;
    std::unique_ptr<Trash> trash;
    std::size_t ready_trees;
  };
  Overlay(Ring& ring, Log& log, Parts parts);

  Result<std::optional<OverlayRecord>> find_active(const std::string& key) const;
  Result<std::optional<OverlayRecord>> find_committed(const std::string& name) const;
  Result<OverlayRecord> find(const std::string& key) const;
  Status require_free(const std::string& key) const;
  // Ids of `parent` and everything below it, nearest first.
  Result<std::vector<std::uint64_t>> chain_of(const std::string& parent) const;
  Result<bool> has_children(const std::string& name) const;
  Task<std::vector<plugins::SnapshotMount>> add(std::string key, std::string parent,
                                                plugins::SnapshotKind kind);
  Task<void> match_root(std::uint64_t id, std::uint64_t parent_id);
  Task<void> record_or_discard(std::string key, OverlayRecord record);
  Task<void> erase_committed(const std::string& name);
  Status erase_doubles();
  Result<std::uint64_t> sweep();

  Ring& ring_;
  Log& log_;
  OverlayLayout layout_;
  store::State active_;
  store::State committed_;
  UniqueFd dirfd_;
  std::unique_ptr<Trash> trash_;
  TreePool trees_;
  // Committed snapshots whose record is being erased on another thread: no call finds them.
  std::set<std::string> removing_;
};

}  // namespace berth::snapshotter
