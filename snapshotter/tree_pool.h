// SPDX-License-Identifier: Apache-2.0
// Makes the directories of snapshots ahead of time, so that none is made on the way to a container.
// KERNEL ext4: mkdir takes 16 microseconds in a quiet place and hundreds where many directories
// were deleted within the last minute, which is what containers that come and go do: the allocator
// passes over recently deleted inodes one by one.
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
  // Keeps up to `most` trees ready below `dirfd`, which is borrowed. 0: makes each when it is
  // wanted.
  TreePool(Ring& ring, Log& log, int dirfd, std::size_t most);
  TreePool(const TreePool&) = delete;

  // Ids from here on are free, on disk as well. Begins to fill.
  void start(std::uint64_t first_free_id);
  // The id of a tree with `fs` (mode 0755, owner as this process) and `work`, which is then the
  // caller's. Waits for the disk only when none is ready.
  Task<std::uint64_t> take();
  // Trees that are ready stay: without a record they are swept at the next start.
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
