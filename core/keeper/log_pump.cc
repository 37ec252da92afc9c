// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log_pump.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <utility>

#include "core/base/units.h"
#include "core/keeper/log_file.h"
#include "core/keeper/token.h"

namespace berth::keeper {
namespace {

constexpr std::uint8_t kDrainPieces = 24;  // a full pipe of the default size, and some
constexpr int kPiecesPerTurn = 32;         // then the keeper looks at its other duties
constexpr std::int64_t kRetryNs = 200 * kNanosecondsPerMillisecond;

std::uint8_t bit(Stream stream) noexcept {
  return static_cast<std::uint8_t>(1u << stream);
}

// What was recorded before must be in the table when the phase is, whenever a kill comes.
void set_phase(LogSlot& piece, SlotPhase phase) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *const_cast<volatile SlotPhase*>(&piece.phase) = phase;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

bool LogPump::run() noexcept {
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    const int slot_index = free_slot();
    const std::uint32_t entry = slot_index < 0 ? kNoEntry : take_next();
    if (entry == kNoEntry) return false;
    Flow& state = flow(entry);
    if (state.slot != 0 || state.ready == 0) continue;
    // Both streams ready: they take turns.
    Stream stream = state.ready == 1 ? kStdout : kStderr;
    if (state.ready == 3) stream = state.last == kStdout ? kStderr : kStdout;
    state.last = stream;
    carry(entry, stream, static_cast<std::uint32_t>(slot_index));
  }
  return first_ != kNoEntry;
}

void LogPump::carry(std::uint32_t entry, Stream stream, std::uint32_t slot_index) noexcept {
  Entry& process = table_->at(entry);
  Flow& state = flow(entry);
  LogSlot& piece = slot(slot_index);
  piece.entry = entry;
  piece.serial = process.serial;
  piece.stream = stream;
  piece.at_eof = piece.writing = 0;
  piece.raw_bytes = piece.raw_done = piece.batch_start = 0;
  set_phase(piece, SlotPhase::moving);
  state.slot = static_cast<std::uint8_t>(slot_index + 1);
  state.overdue = 0;
  ssize_t moved = 0;
  do {
    moved = ::splice(process.stream[stream], nullptr, piece.staging_write, nullptr, kRawBytesMax,
                     SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  } while (moved < 0 && errno == EINTR);
  if (moved > 0) {
    if (state.draining != 0 && state.budget > 0) --state.budget;
    piece.raw_bytes = static_cast<std::uint32_t>(moved);
    set_phase(piece, SlotPhase::staged);
    if (fill_raw(piece, table_->raw(static_cast<int>(slot_index)))) {
      begin_batch(slot_index);
    } else {
      release(slot_index);
    }
    return;
  }
  state.ready &= static_cast<std::uint8_t>(~bit(stream));
  if (moved < 0 && errno == EAGAIN) {
    release(slot_index);
    arm(entry, stream);
    check_drained(entry);
    return;
  }
  // The end of the stream. A terminal says EIO when its last other side is closed.
  piece.at_eof = 1;
  set_phase(piece, SlotPhase::raw);
  begin_batch(slot_index);
}

// Empties the staging pipe into the raw buffer; false if the pipe failed us.
bool LogPump::fill_raw(LogSlot& piece, std::byte* raw) noexcept {
  int rest = 0;
  if (::ioctl(piece.staging_read, FIONREAD, &rest) != 0) return false;
  while (rest > 0 && static_cast<std::uint32_t>(rest) <= piece.raw_bytes) {
    const std::uint32_t have = piece.raw_bytes - static_cast<std::uint32_t>(rest);
    const ssize_t got = ::read(piece.staging_read, raw + have, static_cast<size_t>(rest));
    if (got <= 0 && errno != EINTR) return false;
    if (got > 0) rest -= static_cast<int>(got);
  }
  piece.raw_done = 0;
  set_phase(piece, SlotPhase::raw);
  return rest == 0;
}

void LogPump::begin_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  Entry& process = table_->at(piece.entry);
  const bool nothing_to_say = piece.at_eof != 0 && process.partial[piece.stream] == 0;
  if ((process.flags & kLogged) == 0 || nothing_to_say) {
    piece.batch_start = piece.raw_done;
    piece.batch_raw = piece.raw_bytes - piece.raw_done;
    states_[slot_index].partial_after = false;
    end_batch(slot_index);
    return;
  }
  const std::optional<LogFile> log = look_at_log(process.log);
  states_[slot_index].device = log ? log->device : 0;
  if (!log) {
    if (flow(piece.entry).reopening != 0) {
      take_new_log(slot_index);
    } else {
      block(slot_index, EBADF);
    }
    return;
  }
  piece.batch_start = piece.raw_done;
  piece.batch_partial = process.partial[piece.stream];
  piece.batch_time_ns = realtime_now_ns();
  piece.log_inode = log->inode;
  piece.log_size_before = log->size;
  format_batch(slot_index);
  if (states_[slot_index].out_bytes == 0) {
    end_batch(slot_index);
    return;
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  piece.writing = 1;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  submit(slot_index);
}

// From the slot's record alone, so that a successor gets the same bytes.
void LogPump::format_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  const std::byte* raw = table_->raw(static_cast<int>(slot_index));
  const FormatInput input{
      .raw = std::span(raw + piece.batch_start, piece.raw_bytes - piece.batch_start),
      .stream = static_cast<Stream>(piece.stream),
      .time_ns = piece.batch_time_ns,
      .partial = piece.batch_partial != 0};
  const Formatted done = piece.at_eof != 0 ? format_end(input, out(slot_index))
                                           : format_records(input, out(slot_index));
  piece.batch_raw = static_cast<std::uint32_t>(done.raw_bytes);
  states_[slot_index].out_bytes = static_cast<std::uint32_t>(done.out_bytes);
  states_[slot_index].out_done = 0;
  states_[slot_index].partial_after = done.partial;
}

void LogPump::submit(std::uint32_t slot_index) noexcept {
  SlotState& state = states_[slot_index];
  const int log = table_->at(slot(slot_index).entry).log;
  WriteBy& write_by = flow(slot(slot_index).entry).write_by;
  if (write_by == WriteBy::unknown) {
    write_by = can_poll(log) ? WriteBy::worker : WriteBy::submitter;
  }
  io_uring_sqe* sqe = ring_->get_sqe();
  CHECK(sqe != nullptr);
  // Offset -1: at the file's position, which O_APPEND makes its end.
  io_uring_prep_write(sqe, log, out(slot_index).data() + state.out_done,
                      state.out_bytes - state.out_done, static_cast<std::uint64_t>(-1));
  // KERNEL 6.18: a write that would have to wait is given to a worker, but of a file that can be
  // polled the submitting thread polls first, and poll(2) of a file of FUSE waits for its server.
  // Proof: tests/core/keeper/fuse_log_test.cc. Ordinary files cannot be polled, and a worker costs
  // them much.
  if (write_by == WriteBy::worker) sqe->flags |= IOSQE_ASYNC;
  sqe->user_data = Token{TokenKind::log_write, 0, 0, slot_index}.pack();
  state.in_flight = true;
  state.blocked = false;
  ++in_flight_;
}

void LogPump::on_written(std::uint32_t slot_index, int result) noexcept {
  SlotState& state = states_[slot_index];
  CHECK(slot_index < kLogSlots && state.in_flight && in_flight_ > 0);
  state.in_flight = false;
  --in_flight_;
  if (slot(slot_index).entry == kNoEntry) {
    // Its container was forgotten meanwhile.
    set_phase(slot(slot_index), SlotPhase::free);
    state = {};
    return;
  }
  if (result > 0) {
    state.full = false;
    flow(slot(slot_index).entry).odd = 0;
  }
  if (result > 0) state.out_done += static_cast<std::uint32_t>(result);
  if (state.out_done >= state.out_bytes) {
    end_batch(slot_index);
  } else if (result > 0 || result == -EINTR) {
    submit(slot_index);
  } else if (flow(slot(slot_index).entry).reopening != 0) {
    take_new_log(slot_index);
  } else {
    block(slot_index, -result);
  }
}

void LogPump::end_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  Entry& process = table_->at(piece.entry);
  // Absolute values: doing this twice is harmless.
  process.partial[piece.stream] = states_[slot_index].partial_after ? 1 : 0;
  piece.raw_done = piece.batch_start + piece.batch_raw;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  piece.writing = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (flow(piece.entry).reopening != 0) switch_log(piece.entry);
  if (piece.raw_done < piece.raw_bytes) {
    begin_batch(slot_index);
    return;
  }
  finish_piece(slot_index);
}

// Its bytes are in the log, or nobody wants them.
void LogPump::finish_piece(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  const std::uint32_t entry = piece.entry;
  const Stream stream = static_cast<Stream>(piece.stream);
  const bool at_eof = piece.at_eof != 0;
  release(slot_index);
  if (at_eof) {
    close_stream(entry, stream);
  } else {
    flow(entry).ready |= bit(stream);
    enqueue(entry);
  }
  check_drained(entry);
}

void LogPump::release(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  const std::uint32_t entry = piece.entry;
  set_phase(piece, SlotPhase::free);
  states_[slot_index] = {};
  Flow& state = flow(entry);
  state.slot = state.overdue = 0;
  if (state.ready != 0) enqueue(entry);
}

void LogPump::block(std::uint32_t slot_index, int sys_errno) noexcept {
  SlotState& state = states_[slot_index];
  state.blocked = true;
  // EBADF: its log was lost with a keeper and an agent, and is brought again. Device 0 is those
  // logs'.
  state.full = sys_errno == ENOSPC || sys_errno == EBADF;
  flow(slot(slot_index).entry).odd = state.full ? 0 : 1;
  arm_retry();
  check_drained(slot(slot_index).entry);
  // Of those in line some wait for nothing now.
  for (std::uint32_t entry = first_; entry != kNoEntry;) {
    const std::uint32_t next = flow(entry).next;
    if (flow(entry).draining != 0) check_drained(entry);
    entry = next;
  }
}

void LogPump::arm_retry() noexcept {
  if (retry_armed_) return;
  static __kernel_timespec period{0, kRetryNs};
  io_uring_sqe* sqe = ring_->get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_timeout(sqe, &period, 0, 0);
  sqe->user_data = Token{TokenKind::log_retry, 0, 0, 0}.pack();
  retry_armed_ = true;
}

void LogPump::on_retry() noexcept {
  retry_armed_ = false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    if (!states_[i].blocked) continue;
    if (states_[i].lost) {
      block(i, EBADF);
      continue;
    }
    if (flow(slot(i).entry).odd != 0 && (odd_slots() > 1 || odd_wait())) {
      take_back(i);
      finish_piece(i);
      continue;
    }
    states_[i].blocked = false;
    if (slot(i).writing != 0) {
      submit(i);
    } else {
      begin_batch(i);
    }
  }
  for (std::uint32_t entry = 0; entry < table_->size(); ++entry) {
    Flow& state = flow(entry);
    if (state.draining == 0) continue;
    if (--state.draining != 0) {
      arm_retry();
      continue;
    }
    state.overdue = 1;
    owner_->drained(entry);
  }
}

void LogPump::on_stream(std::uint32_t entry, Stream stream) noexcept {
  Flow& state = flow(entry);
  state.armed &= static_cast<std::uint8_t>(~bit(stream));
  if (table_->at(entry).stream[stream] < 0) return;
  state.ready |= bit(stream);
  enqueue(entry);
}

void LogPump::drain(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  state.draining = kDrainTicks;
  // Not for what still hangs.
  if (state.slot == 0) state.overdue = 0;
  state.budget = kDrainPieces;
  const Entry& process = table_->at(entry);
  for (const Stream stream : {kStdout, kStderr}) {
    if (process.carried() && process.stream[stream] >= 0) state.ready |= bit(stream);
  }
  enqueue(entry);
  check_drained(entry);
  if (state.draining != 0) arm_retry();
}

void LogPump::check_drained(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  if (state.draining == 0) return;
  const bool idle = state.slot == 0 && state.ready == 0;
  const bool stuck =
      state.slot != 0 ? states_[state.slot - 1].blocked : state.odd != 0 || is_full(entry);
  if (!idle && !stuck && state.overdue == 0 && state.budget > 0) return;
  state.draining = 0;
  owner_->drained(entry);
}

void LogPump::reopen(std::uint32_t entry, UniqueFd log) noexcept {
  Flow& state = flow(entry);
  if (state.reopening != 0) close_log(state.next_log);
  state.next_log = log.release();
  state.reopening = 1;
  if (state.slot != 0 && states_[state.slot - 1].in_flight) return;
  if (state.slot == 0) {
    switch_log(entry);
    return;
  }
  take_new_log(state.slot - 1u);
}

// What was written of a batch before the rest was refused.
void LogPump::take_back(std::uint32_t slot_index) noexcept {
  const LogSlot& piece = slot(slot_index);
  if (piece.writing == 0 || states_[slot_index].out_done == 0) return;
  const int ignored = ::ftruncate(table_->at(piece.entry).log, piece.log_size_before);
  static_cast<void>(ignored);
}

// The old file refused a batch: the new file gets it whole. If the old one was lost and is back,
// it gets the rest.
void LogPump::take_new_log(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  const std::uint32_t entry = piece.entry;
  const bool was_lost = std::exchange(states_[slot_index].lost, false);
  states_[slot_index].blocked = states_[slot_index].full = false;
  if (was_lost) {
    switch_log(entry);
    resume_batch(slot_index);
    return;
  }
  take_back(slot_index);
  piece.writing = 0;
  switch_log(entry);
  begin_batch(slot_index);
}

void LogPump::switch_log(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  Entry& process = table_->at(entry);
  close_log(std::exchange(process.log, std::exchange(state.next_log, -1)));
  state.reopening = 0;
  state.device = 0;
  state.write_by = WriteBy::unknown;
  state.odd = 0;
  process.flags |= kLogged;
  owner_->log_reopened(entry);
}

}  // namespace berth::keeper
