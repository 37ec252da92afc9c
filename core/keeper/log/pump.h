// SPDX-License-Identifier: Apache-2.0
// LogPump carries what containers write from their pipes into their log files, losing nothing and
// repeating nothing when the keeper is killed at any moment. A piece of output takes these steps,
// each recorded in a slot of the table before the next begins:
//
//   moving   splice(2) from the container's pipe into the slot's own staging pipe. The bytes are in
//            one or the other. Only this slot writes to the staging pipe, so its fill (FIONREAD)
//            says in which.
//   staged   read(2) from the staging pipe into the slot's raw buffer, which lives in the table.
//            What is not in the staging pipe any more is in the buffer.
//   raw      format_records and one write to the log per batch. The log's size before, the time and
//            the bytes covered are recorded first; formatting is deterministic, so the log's size
//            afterwards tells how much of the batch was written, and the rest is appended.
//
// A successor finishes the slots (recover) and goes on. A log that died with keeper and agent is
// waited for, and its size is looked at when it is back. One slot per container at a time, which
// keeps stdout and stderr in order; kLogSlots containers at once, the others wait in the queue
// (queue.h). A log that cannot be written (ENOSPC) is tried again five times a second; the
// container's pipe fills and its writer waits: back-pressure, never loss. reopen_log to another
// file ends the wait. When several logs refuse for reasons of their own, what they refused is
// dropped in turn. A process without a log has its output read and discarded.
//
// pump.cc is long because these steps, their retries and their recovery are one state machine:
// each is right only in view of what the others have recorded.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/keeper/log/queue.h"
#include "core/keeper/log/state.h"
#include "core/keeper/log/streams.h"
#include "core/keeper/table.h"
#include "core/ring/raw.h"

namespace berth::keeper {

constexpr std::uint8_t kDrainTicks = 15;  // of 200 ms

class LogPump {
 public:
  // Told of what the pump finished. Called from inside the pump's functions: must not call back
  // into it for the same entry except by close().
  class Owner {
   public:
    // What the process had written by the time of drain() is in the log, or cannot be written, or
    // was not written within kDrainTicks.
    virtual void drained(std::uint32_t entry) = 0;
    virtual void log_reopened(std::uint32_t entry) = 0;

   protected:
    ~Owner() = default;
  };

  LogPump(Table& table, RawRing& ring, Owner& owner)
      : ring_(ring), owner_(owner), log_(table), queue_(log_), streams_(log_, ring) {}
  LogPump(const LogPump&) = delete;
  LogPump& operator=(const LogPump&) = delete;
  Status open();

  // Makes the staging pipes that are missing.
  Status open_staging() noexcept;
  // Begins to carry the entry's streams.
  void start(std::uint32_t entry) noexcept;
  // A successor, in the same turn of the loop in which it starts all entries: finishes the slots.
  void recover() noexcept;
  // Asks for drained(); at most a bounded number of pieces are carried first, so a grandchild that
  // goes on writing delays nothing for long.
  void drain(std::uint32_t entry) noexcept;
  // Takes `log` over at once or after the write in flight, then log_reopened().
  void reopen(std::uint32_t entry, UniqueFd log) noexcept;
  // For recovery, before start(): a reopen that a dead keeper may or may not have done.
  void expect_reopen(std::uint32_t entry, UniqueFd log) noexcept;
  // Behind the writes that are queued there, and without waiting for a server. -1: nothing to do.
  void close_log(int log) noexcept;
  // Closes the streams and the log. False: a write is in flight; call again after drained(), which
  // comes in any case.
  bool close(std::uint32_t entry) noexcept;

  // Completions of the ring.
  void on_stream(std::uint32_t entry, Stream stream) noexcept;
  void on_written(std::uint32_t slot, int result) noexcept;
  void on_retry() noexcept;
  void on_closed() noexcept { --closing_; }
  // Carries what can be carried. True: there is more to do at once. While `finishing` it begins
  // nothing but what drain() asked for, so that it becomes quiet although containers write on.
  bool run(bool finishing = false) noexcept;
  // Nothing of it is in the kernel (re-execution waits for this).
  bool quiet() const noexcept { return in_flight_ == 0 && closing_ == 0; }

 private:
  void carry(std::uint32_t entry, Stream stream, std::uint32_t slot) noexcept;
  bool fill_raw(LogSlot& slot, std::byte* raw) noexcept;
  void begin_batch(std::uint32_t slot) noexcept;
  void format_batch(std::uint32_t slot) noexcept;
  void submit(std::uint32_t slot) noexcept;
  void end_batch(std::uint32_t slot) noexcept;
  void release(std::uint32_t slot) noexcept;
  void block(std::uint32_t slot, int sys_errno) noexcept;
  void finish_piece(std::uint32_t slot) noexcept;
  void take_back(std::uint32_t slot) noexcept;
  void take_new_log(std::uint32_t slot) noexcept;
  void arm_retry() noexcept;
  void switch_log(std::uint32_t entry) noexcept;
  void check_drained(std::uint32_t entry) noexcept;
  void recover_slot(std::uint32_t slot) noexcept;
  void resume_batch(std::uint32_t slot) noexcept;

  RawRing& ring_;
  Owner& owner_;
  LogState log_;
  LogQueue queue_;
  LogStreams streams_;
  unsigned in_flight_ = 0;
  unsigned closing_ = 0;
  bool retry_armed_ = false;
};

}  // namespace berth::keeper
