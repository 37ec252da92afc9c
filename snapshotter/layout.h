// SPDX-License-Identifier: Apache-2.0
// Paths and records of the overlay snapshotter. No other file builds these paths.
//
//   <dir>/meta/          LMDB, durable: committed snapshots
//   <dir>/<id>/fs        the tree of a snapshot: upperdir while active, a lowerdir of others later
//   <dir>/<id>/work      overlayfs' workdir, while active
//   <dir>/trash/         trees without a record, being deleted
//
// Active snapshots and views are records in <state dir>/snapshots, LMDB on tmpfs: like containers,
// they last until the node reboots.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/store/state.h"
#include "plugins/api/snapshotter.h"

namespace berth::snapshotter {

inline constexpr store::Table kActiveTable{"overlay-active", 1};
inline constexpr store::Table kCommittedTable{"overlay", 1};

struct OverlayRecord {
  std::uint64_t id = 0;  // never used twice
  plugins::SnapshotKind kind = plugins::SnapshotKind::active;
  std::string parent;
  std::int64_t created_at_ns = 0;
};

class OverlayLayout {
 public:
  explicit OverlayLayout(std::string dir) : dir_(std::move(dir)) {}

  const std::string& dir() const { return dir_; }
  std::string meta() const { return dir_ + "/meta"; }
  std::string fs(std::uint64_t id) const { return dir_ + "/" + fs_name(id); }
  std::string work(std::uint64_t id) const { return dir_ + "/" + work_name(id); }

  // Relative to `dir`.
  static constexpr const char* kMeta = "meta";
  static constexpr const char* kTrash = "trash";
  static std::string name(std::uint64_t id) { return std::to_string(id); }
  static std::string fs_name(std::uint64_t id) { return name(id) + "/fs"; }
  static std::string work_name(std::uint64_t id) { return name(id) + "/work"; }
  // KERNEL 5.10: a volatile overlay leaves this file and refuses the next mount while it exists.
  // Proof: tests/snapshotter/overlay_mount_test.cc.
  static std::string volatile_mark(std::uint64_t id) {
    return work_name(id) + "/work/incompat/volatile";
  }

 private:
  std::string dir_;
};

}  // namespace berth::snapshotter
