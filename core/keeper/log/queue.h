// SPDX-License-Identifier: Apache-2.0
// LogQueue: which entry's output is carried next, and by which slot.
//
// Logs that cannot be written do not hold up those that can: while a filesystem is full, nothing
// more is taken from a pipe for it; the last free slot is not for a filesystem whose writes have
// all the others, since they may hang in the kernel; and logs that refuse for reasons of their own
// (EFBIG, EIO, EDQUOT: "odd") share one slot.
//
// Invariant: an entry is in the queue exactly while its LogFlow::queued is set, and then it has
// something to carry and no slot.
#pragma once

#include <cstdint>

#include "core/keeper/log/state.h"

namespace berth::keeper {

class LogQueue {
 public:
  explicit LogQueue(LogState& log) : log_(log) {}

  // Unless it has a slot, or nothing to carry.
  void enqueue(std::uint32_t entry) noexcept;
  void leave(std::uint32_t entry) noexcept;
  // Removes and gives the first that may have a slot, or the first of those that are drained;
  // kNoEntry: none.
  std::uint32_t take_next(bool only_draining) noexcept;
  std::uint32_t first() const noexcept { return first_; }
  // -1: none.
  int free_slot() noexcept;

  // How many slots carry output of odd logs, and whether the queue has such a log.
  int odd_slots() noexcept;
  bool odd_wait() noexcept;
  bool is_full(std::uint32_t entry) noexcept;

 private:
  void unlink(std::uint32_t entry, std::uint32_t before) noexcept;
  bool may_have_slot(std::uint32_t entry) noexcept;
  bool would_have_all(std::uint32_t entry) noexcept;
  std::uint32_t device_of(std::uint32_t entry) noexcept;

  LogState& log_;
  std::uint32_t first_ = kNoEntry;
  std::uint32_t last_ = kNoEntry;
};

}  // namespace berth::keeper
