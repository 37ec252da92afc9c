// SPDX-License-Identifier: Apache-2.0
// A snapshotter keeps stacks of file trees. The words are containerd's:
//
//   key     names an *active* snapshot: a tree that may still change
//   name    names a *committed* snapshot: a tree that never changes again and can be a parent
//   parent  the committed snapshot that a new one starts from; empty for an empty tree
//
// Life of a snapshot:
//
//   prepare(key, parent) --> active --commit(name, key)--> committed --remove(name)--> gone
//   view(key, parent) -----> read-only active ---------------------------remove(key)--> gone
//
// Importing two layers: prepare("extract-1", ""), unpack layer one into what mounts() describes,
// commit("chain-1", "extract-1"); prepare("extract-2", "chain-1"), unpack, commit("chain-2",
// "extract-2"). Both at the same time: prepare("extract-2", ""), unpack while layer one is being
// unpacked, and when chain-1 is committed rebase("extract-2", "chain-1"), commit. Running a
// container: prepare("container-id", "chain-2"), mount, run, remove.
//
// Rules. Keys and names share one space of 1..255 bytes without '/' and NUL. Calls for different
// keys may run at the same time; the caller serialises calls for one key. Every change is atomic:
// after a crash a snapshot is there or not, never half. What a crash leaves on disk is removed by
// recover(). Errors: not_found (no such key or parent), already_exists, failed_precondition (a
// snapshot with children cannot be removed; an active one is no parent), resource_exhausted (no
// space), internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/task/task.h"

namespace berth::plugins {

// One mount as mount(8) would take it. Pure description: the snapshotter mounts nothing itself.
struct SnapshotMount {
  std::string type;                  // "overlay" or "bind"
  std::string source;                // for bind: the directory
  std::vector<std::string> options;  // "lowerdir=/a:/b", "ro", ...
};

enum class SnapshotKind { active, view, committed };

struct SnapshotInfo {
  std::string name;
  std::string parent;
  SnapshotKind kind = SnapshotKind::active;
  std::int64_t created_at_ns = 0;  // Unix time
};

struct SnapshotUsage {
  std::uint64_t bytes = 0;  // disk blocks of the snapshot itself, without its parents
  std::uint64_t inodes = 0;
};

class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  virtual std::string_view name() const = 0;
  // Called once, before anything else. Removes what a crash left and opens what is there.
  virtual Task<void> recover() = 0;

  virtual Task<std::vector<SnapshotMount>> prepare(std::string key, std::string parent) = 0;
  virtual Task<std::vector<SnapshotMount>> view(std::string key, std::string parent) = 0;
  // The mounts of an active snapshot or view, again. Cheap.
  virtual Task<std::vector<SnapshotMount>> mounts(std::string key) = 0;
  // The active snapshot `key`, prepared without a parent, starts from `parent` after all; its own
  // tree stays as it is. Nothing of it may be mounted. failed_precondition: it has a parent.
  virtual Task<void> rebase(std::string key, std::string parent) = 0;
  virtual Task<void> commit(std::string name, std::string key) = 0;
  // Gone at once for every other call; the bytes may be deleted behind. Absent: not_found.
  virtual Task<void> remove(std::string key) = 0;

  virtual Task<SnapshotInfo> stat(std::string key) = 0;
  // Cost is proportional to the size of the tree.
  virtual Task<SnapshotUsage> usage(std::string key) = 0;
  virtual Task<std::vector<SnapshotInfo>> walk() = 0;
  // Called once before the agent ends in order: ends what runs behind. Snapshots stay as they are.
  virtual Task<void> close() { co_return; }
};

}  // namespace berth::plugins
