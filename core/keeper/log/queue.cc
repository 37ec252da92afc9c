// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/queue.h"

#include <optional>

#include "core/keeper/log/file.h"

namespace berth::keeper {

int LogQueue::free_slot() noexcept {
  // The lowest first: memory of slots that were never needed is never touched.
  for (int i = 0; i < kLogSlots; ++i) {
    if (log_.slot(static_cast<std::uint32_t>(i)).phase == SlotPhase::free) return i;
  }
  return -1;
}

void LogQueue::enqueue(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  if (state.queued != 0 || state.slot != 0 || state.ready == 0) return;
  state.queued = 1;
  state.next = kNoEntry;
  if (last_ == kNoEntry) {
    first_ = entry;
  } else {
    log_.flow(last_).next = entry;
  }
  last_ = entry;
}

// `before` is the entry before it; kNoEntry: it is the first.
void LogQueue::unlink(std::uint32_t entry, std::uint32_t before) noexcept {
  LogFlow& state = log_.flow(entry);
  (before == kNoEntry ? first_ : log_.flow(before).next) = state.next;
  if (last_ == entry) last_ = before;
  state.queued = 0;
}

std::uint32_t LogQueue::take_next(bool only_draining) noexcept {
  std::uint32_t before = kNoEntry;
  for (std::uint32_t entry = first_; entry != kNoEntry; entry = log_.flow(entry).next) {
    const bool is_wanted = !only_draining || log_.flow(entry).draining != 0;
    if (is_wanted && may_have_slot(entry)) {
      unlink(entry, before);
      return entry;
    }
    before = entry;
  }
  return kNoEntry;
}

bool LogQueue::may_have_slot(std::uint32_t entry) noexcept {
  if (log_.flow(entry).odd != 0 && odd_slots() > 0) return false;
  int busy = 0;
  bool any_full = false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    if (log_.slot(i).phase != SlotPhase::free) ++busy;
    any_full = any_full || log_.working(i).full;
  }
  const bool last_slot = busy == kLogSlots - 1;
  if ((!any_full && !last_slot) || (log_.table().at(entry).flags & kLogged) == 0) return true;
  if (is_full(entry)) return false;
  return !last_slot || !would_have_all(entry);
}

// Whether the last slot would leave none to a log that can be written, should the writes to this
// one's filesystem hang.
bool LogQueue::would_have_all(std::uint32_t entry) noexcept {
  const std::uint32_t device = device_of(entry);
  bool writes = false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    const LogSlotState& state = log_.working(i);
    if (log_.slot(i).phase == SlotPhase::free) continue;
    const bool same = state.in_flight && state.device == device;
    const bool odd = log_.slot(i).entry != kNoEntry && log_.flow(log_.slot(i).entry).odd != 0;
    if (!same && !odd && !state.full) return false;
    writes = writes || same;
  }
  return writes;
}

int LogQueue::odd_slots() noexcept {
  int count = 0;
  for (const LogSlot& piece : log_.table().header().slots) {
    const bool busy = piece.phase != SlotPhase::free && piece.entry != kNoEntry;
    if (busy && log_.flow(piece.entry).odd != 0) ++count;
  }
  return count;
}

bool LogQueue::odd_wait() noexcept {
  for (std::uint32_t entry = first_; entry != kNoEntry; entry = log_.flow(entry).next) {
    if (log_.flow(entry).odd != 0) return true;
  }
  return false;
}

// Whether the log's filesystem is known to be.
bool LogQueue::is_full(std::uint32_t entry) noexcept {
  if ((log_.table().at(entry).flags & kLogged) == 0) return false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    const LogSlotState& slot = log_.working(i);
    if (slot.full && slot.device == device_of(entry)) return true;
  }
  return false;
}

// 0: of a log that cannot be looked at.
std::uint32_t LogQueue::device_of(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  if (state.device == 0) {
    const std::optional<LogFile> log = look_at_log(log_.table().at(entry).log);
    if (log) state.device = log->device;
  }
  return state.device;
}

void LogQueue::leave(std::uint32_t entry) noexcept {
  if (log_.flow(entry).queued == 0) return;
  std::uint32_t before = kNoEntry;
  for (std::uint32_t i = first_; i != entry; i = log_.flow(i).next) before = i;
  unlink(entry, before);
}

}  // namespace berth::keeper
