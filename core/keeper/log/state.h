// SPDX-License-Identifier: Apache-2.0
// What the log pump knows beside the table: how each entry's output flows, and what each slot does
// at the moment. A re-execution and a crash may forget it. The pages of the mappings are there only
// once they are written.
#pragma once

#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/keeper/log/format.h"
#include "core/keeper/table.h"
#include "core/linux/mmap.h"

namespace berth::keeper {

enum class LogWriteBy : std::uint8_t { unknown = 0, submitter, worker };
struct LogFlow {
  std::uint8_t ready;  // bit per stream: readable as far as known
  std::uint8_t armed;  // bit per stream: a poll is in the kernel
  std::uint8_t slot;   // 1 + the slot in use; 0: none
  std::uint8_t queued;
  std::uint8_t draining;  // ticks of the retry timer until it is overdue; 0: not asked for
  std::uint8_t overdue;   // its output is waited for no longer
  std::uint8_t budget;    // pieces left while draining
  std::uint8_t last;      // stream served last
  std::uint8_t odd;       // the log refused for a reason of its own, and has taken nothing since
  std::uint8_t reopening;
  LogWriteBy write_by;    // how the log is written
  std::int32_t next_log;  // while reopening
  std::uint32_t next;     // in the queue
  std::uint32_t device;   // of the log's filesystem; 0: not looked at yet
};
struct LogSlotState {
  bool in_flight = false;
  bool blocked = false;  // waits for the retry timer or a reopen
  bool full = false;     // its filesystem is, and has not taken anything since
  bool lost = false;     // the log is gone, and the batch of the slot's record may be in it
  std::uint32_t device = 0;
  std::uint32_t out_bytes = 0;
  std::uint32_t out_done = 0;
  bool partial_after = false;
};

inline std::uint8_t bit(Stream stream) noexcept {
  return static_cast<std::uint8_t>(1u << stream);
}

class LogState {
 public:
  explicit LogState(Table& table) : table_(&table) {}
  Status open();

  Table& table() noexcept { return *table_; }
  LogFlow& flow(std::uint32_t entry) noexcept {
    return *(reinterpret_cast<LogFlow*>(flows_.data()) + entry);
  }
  LogSlot& slot(std::uint32_t index) noexcept { return table_->header().slots[index]; }
  LogSlotState& working(std::uint32_t slot) noexcept { return slots_[slot]; }
  // Where a slot's batch is formatted.
  std::span<char> out(std::uint32_t slot) noexcept;

 private:
  Table* table_;
  sys::Mmap flows_;
  sys::Mmap out_;
  LogSlotState slots_[kLogSlots];
};

}  // namespace berth::keeper
