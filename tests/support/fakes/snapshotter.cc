// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fakes/snapshotter.h"

#include <algorithm>

#include "core/base/units.h"

namespace berth::fakes {

using plugins::SnapshotInfo;
using plugins::SnapshotKind;

namespace {

FakeSnapshotter::Mounts mounts_of(const SnapshotInfo& snapshot) {
  plugins::SnapshotMount mount;
  mount.type = "bind";
  mount.source = "/fake/" + snapshot.name;
  if (snapshot.kind != SnapshotKind::active) mount.options.push_back("ro");
  return {mount};
}

}  // namespace

Result<SnapshotInfo*> FakeSnapshotter::need(const std::string& key) {
  const auto found = snapshots_.find(key);
  if (found != snapshots_.end()) return &found->second;
  return make_error(Errc::not_found, "no snapshot `" + key + "`");
}

Result<FakeSnapshotter::Mounts> FakeSnapshotter::make(const std::string& key,
                                                      const std::string& parent,
                                                      SnapshotKind kind) {
  if (snapshots_.contains(key)) {
    return make_error(Errc::already_exists, "snapshot `" + key + "` exists");
  }
  if (!parent.empty()) {
    TRY(const SnapshotInfo* const below, need(parent));
    if (below->kind != SnapshotKind::committed) {
      return make_error(Errc::failed_precondition, "snapshot `" + parent + "` is not committed");
    }
  }
  const SnapshotInfo made{
      .name = key, .parent = parent, .kind = kind, .created_at_ns = realtime_now_ns()};
  snapshots_[key] = made;
  return mounts_of(made);
}

Task<FakeSnapshotter::Mounts> FakeSnapshotter::prepare(std::string key, std::string parent) {
  co_await faults_.before("snapshotter.prepare");
  Mounts made = co_await make(key, parent, SnapshotKind::active);
  co_await faults_.after("snapshotter.prepare");
  co_return made;
}

Task<FakeSnapshotter::Mounts> FakeSnapshotter::view(std::string key, std::string parent) {
  co_await faults_.before("snapshotter.view");
  Mounts made = co_await make(key, parent, SnapshotKind::view);
  co_await faults_.after("snapshotter.view");
  co_return made;
}

Task<FakeSnapshotter::Mounts> FakeSnapshotter::mounts(std::string key) {
  co_await faults_.before("snapshotter.mounts");
  const SnapshotInfo* const snapshot = co_await need(key);
  co_return mounts_of(*snapshot);
}

Task<void> FakeSnapshotter::rebase(std::string key, std::string parent) {
  co_await faults_.before("snapshotter.rebase");
  SnapshotInfo* const snapshot = co_await need(key);
  if (!snapshot->parent.empty()) co_await fail(Errc::failed_precondition, "it has a parent");
  snapshot->parent = parent;
  co_await faults_.after("snapshotter.rebase");
}

Task<void> FakeSnapshotter::commit(std::string name, std::string key) {
  co_await faults_.before("snapshotter.commit");
  const SnapshotInfo* const active = co_await need(key);
  SnapshotInfo committed = *active;
  committed.name = name;
  committed.kind = SnapshotKind::committed;
  snapshots_.erase(key);
  snapshots_[name] = committed;
  co_await faults_.after("snapshotter.commit");
}

Task<void> FakeSnapshotter::remove(std::string key) {
  co_await faults_.before("snapshotter.remove");
  co_await need(key);
  const auto is_child = [&key](const auto& each) { return each.second.parent == key; };
  if (std::any_of(snapshots_.begin(), snapshots_.end(), is_child)) {
    co_await fail(Errc::failed_precondition, "snapshot `" + key + "` has children");
  }
  snapshots_.erase(key);
  co_await faults_.after("snapshotter.remove");
}

Task<SnapshotInfo> FakeSnapshotter::stat(std::string key) {
  co_await faults_.before("snapshotter.stat");
  const SnapshotInfo* const snapshot = co_await need(key);
  co_return *snapshot;
}

Task<plugins::SnapshotUsage> FakeSnapshotter::usage(std::string key) {
  co_await faults_.before("snapshotter.usage");
  co_await need(key);
  co_return plugins::SnapshotUsage{.bytes = 4096, .inodes = 1};
}

Task<std::vector<SnapshotInfo>> FakeSnapshotter::walk() {
  co_await faults_.before("snapshotter.walk");
  std::vector<SnapshotInfo> all;
  for (const auto& [name, snapshot] : snapshots_) all.push_back(snapshot);
  co_return all;
}

}  // namespace berth::fakes
