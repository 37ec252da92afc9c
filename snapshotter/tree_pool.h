// SPDX-License-Identifier: Apache-2.0
// Creates the directories of snapshots ahead of time, so that a container's start creates none.
// KERNEL ext4: mkdir takes 16 microseconds, but hundreds where many directories were deleted within
// the last minute, as by short-lived containers: the allocator skips recently deleted inodes one by
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"

namespace berth::snapshotter {

class TreePool {
 public:
  // Keeps up to `most` trees ready below `dirfd`, which is borrowed. 0: creates each on demand.
  TreePool(Ring& ring, Log& log, int dirfd, std::size_t most);
  TreePool(const TreePool&) = delete;

  // Ids from this one on are free, on disk too. Starts filling.
  void start(std::uint64_t first_free_id);
  // The id of a tree with `fs` (mode 0755, owner as this process) and `work`, which is then the
  // caller's. Waits for the disk only when none is ready.
  Task<std::uint64_t> take();
  // Ready trees stay on disk; the next start deletes them, since they have no record.
  Task<void> close();

 private:
  Task<void> fill();

  Ring& ring_;
  Log& log_;
  int dirfd_;
  std::size_t most_;
  std::uint64_t next_id_ = 1;
  std::deque<std::uint64_t> ready_;
  bool filling_ = false;
  Scope scope_;
};

}  // namespace berth::snapshotter
