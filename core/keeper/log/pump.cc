// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "core/base/units.h"
#include "core/keeper/log/file.h"
#include "core/keeper/token.h"

namespace berth::keeper {
namespace {

constexpr std::uint8_t kDrainPieces = 24;  // a full pipe of the default size, and some
constexpr int kPiecesPerTurn = 32;         // then the keeper looks at its other duties
constexpr std::int64_t kRetryNs = 200 * kNanosecondsPerMillisecond;

int bytes_in(int pipe) noexcept {
  int bytes = 0;
  return pipe >= 0 && ::ioctl(pipe, FIONREAD, &bytes) == 0 ? bytes : 0;
}

// What was recorded before must be in the table when the phase is, whenever a kill comes.
void set_phase(LogSlot& piece, SlotPhase phase) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  *const_cast<volatile SlotPhase*>(&piece.phase) = phase;
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace

Status LogPump::open() {
  return log_.open();
}

bool LogPump::run(bool finishing) noexcept {
  for (int piece = 0; piece < kPiecesPerTurn; ++piece) {
    const int slot_index = queue_.free_slot();
    const std::uint32_t entry = slot_index < 0 ? kNoEntry : queue_.take_next(finishing);
    if (entry == kNoEntry) return false;
    LogFlow& state = log_.flow(entry);
    if (state.slot != 0 || state.ready == 0) continue;
    // Both streams ready: they take turns.
    Stream stream = state.ready == 1 ? kStdout : kStderr;
    if (state.ready == 3) stream = state.last == kStdout ? kStderr : kStdout;
    state.last = stream;
    carry(entry, stream, static_cast<std::uint32_t>(slot_index));
  }
  return queue_.first() != kNoEntry;
}

void LogPump::carry(std::uint32_t entry, Stream stream, std::uint32_t slot_index) noexcept {
  Entry& process = log_.table().at(entry);
  LogFlow& state = log_.flow(entry);
  LogSlot& piece = log_.slot(slot_index);
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
    if (fill_raw(piece, log_.table().raw(static_cast<int>(slot_index)))) {
      begin_batch(slot_index);
    } else {
      release(slot_index);
    }
    return;
  }
  state.ready &= static_cast<std::uint8_t>(~bit(stream));
  if (moved < 0 && errno == EAGAIN) {
    release(slot_index);
    streams_.arm(entry, stream);
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
  LogSlot& piece = log_.slot(slot_index);
  Entry& process = log_.table().at(piece.entry);
  const bool nothing_to_say = piece.at_eof != 0 && process.partial[piece.stream] == 0;
  if ((process.flags & kLogged) == 0 || nothing_to_say) {
    piece.batch_start = piece.raw_done;
    piece.batch_raw = piece.raw_bytes - piece.raw_done;
    log_.working(slot_index).partial_after = false;
    end_batch(slot_index);
    return;
  }
  const std::optional<LogFile> log = look_at_log(process.log);
  log_.working(slot_index).device = log ? log->device : 0;
  if (!log) {
    if (log_.flow(piece.entry).reopening != 0) {
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
  if (log_.working(slot_index).out_bytes == 0) {
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
  LogSlot& piece = log_.slot(slot_index);
  const std::byte* raw = log_.table().raw(static_cast<int>(slot_index));
  const FormatInput input{
      .raw = std::span(raw + piece.batch_start, piece.raw_bytes - piece.batch_start),
      .stream = static_cast<Stream>(piece.stream),
      .time_ns = piece.batch_time_ns,
      .partial = piece.batch_partial != 0};
  const Formatted done = piece.at_eof != 0 ? format_end(input, log_.out(slot_index))
                                           : format_records(input, log_.out(slot_index));
  piece.batch_raw = static_cast<std::uint32_t>(done.raw_bytes);
  log_.working(slot_index).out_bytes = static_cast<std::uint32_t>(done.out_bytes);
  log_.working(slot_index).out_done = 0;
  log_.working(slot_index).partial_after = done.partial;
}

void LogPump::submit(std::uint32_t slot_index) noexcept {
  LogSlotState& state = log_.working(slot_index);
  const int log = log_.table().at(log_.slot(slot_index).entry).log;
  LogWriteBy& write_by = log_.flow(log_.slot(slot_index).entry).write_by;
  if (write_by == LogWriteBy::unknown) {
    write_by = can_poll(log) ? LogWriteBy::worker : LogWriteBy::submitter;
  }
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  // Offset -1: at the file's position, which O_APPEND makes its end.
  io_uring_prep_write(sqe, log, log_.out(slot_index).data() + state.out_done,
                      state.out_bytes - state.out_done, static_cast<std::uint64_t>(-1));
  // KERNEL 6.18: a write that would have to wait is given to a worker, but of a file that can be
  // polled the submitting thread polls first, and poll(2) of a file of FUSE waits for its server.
  // Proof: tests/core/keeper/fuse_log_test.cc. Ordinary files cannot be polled, and a worker costs
  // them much.
  if (write_by == LogWriteBy::worker) sqe->flags |= IOSQE_ASYNC;
  sqe->user_data = Token{TokenKind::log_write, 0, 0, slot_index}.pack();
  state.in_flight = true;
  state.blocked = false;
  ++in_flight_;
}

void LogPump::on_written(std::uint32_t slot_index, int result) noexcept {
  LogSlotState& state = log_.working(slot_index);
  CHECK(slot_index < kLogSlots && state.in_flight && in_flight_ > 0);
  state.in_flight = false;
  --in_flight_;
  if (log_.slot(slot_index).entry == kNoEntry) {
    // Its container was forgotten meanwhile.
    set_phase(log_.slot(slot_index), SlotPhase::free);
    state = {};
    return;
  }
  if (result > 0) {
    state.full = false;
    log_.flow(log_.slot(slot_index).entry).odd = 0;
  }
  if (result > 0) state.out_done += static_cast<std::uint32_t>(result);
  if (state.out_done >= state.out_bytes) {
    end_batch(slot_index);
  } else if (result > 0 || result == -EINTR) {
    submit(slot_index);
  } else if (log_.flow(log_.slot(slot_index).entry).reopening != 0) {
    take_new_log(slot_index);
  } else {
    block(slot_index, -result);
  }
}

void LogPump::end_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  Entry& process = log_.table().at(piece.entry);
  // Absolute values: doing this twice is harmless.
  process.partial[piece.stream] = log_.working(slot_index).partial_after ? 1 : 0;
  piece.raw_done = piece.batch_start + piece.batch_raw;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  piece.writing = 0;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (log_.flow(piece.entry).reopening != 0) switch_log(piece.entry);
  if (piece.raw_done < piece.raw_bytes) {
    begin_batch(slot_index);
    return;
  }
  finish_piece(slot_index);
}

// Its bytes are in the log, or nobody wants them.
void LogPump::finish_piece(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  const std::uint32_t entry = piece.entry;
  const Stream stream = static_cast<Stream>(piece.stream);
  const bool at_eof = piece.at_eof != 0;
  release(slot_index);
  if (at_eof) {
    streams_.close(entry, stream);
  } else {
    log_.flow(entry).ready |= bit(stream);
    queue_.enqueue(entry);
  }
  check_drained(entry);
}

void LogPump::release(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  const std::uint32_t entry = piece.entry;
  set_phase(piece, SlotPhase::free);
  log_.working(slot_index) = {};
  LogFlow& state = log_.flow(entry);
  state.slot = state.overdue = 0;
  if (state.ready != 0) queue_.enqueue(entry);
}

void LogPump::block(std::uint32_t slot_index, int sys_errno) noexcept {
  LogSlotState& state = log_.working(slot_index);
  state.blocked = true;
  // EBADF: its log was lost with a keeper and an agent, and is brought again. Device 0 is those
  // logs'.
  state.full = sys_errno == ENOSPC || sys_errno == EBADF;
  log_.flow(log_.slot(slot_index).entry).odd = state.full ? 0 : 1;
  arm_retry();
  check_drained(log_.slot(slot_index).entry);
  // Of those in line some wait for nothing now.
  for (std::uint32_t entry = queue_.first(); entry != kNoEntry;) {
    const std::uint32_t next = log_.flow(entry).next;
    if (log_.flow(entry).draining != 0) check_drained(entry);
    entry = next;
  }
}

void LogPump::arm_retry() noexcept {
  if (retry_armed_) return;
  static __kernel_timespec period{0, kRetryNs};
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_timeout(sqe, &period, 0, 0);
  sqe->user_data = Token{TokenKind::log_retry, 0, 0, 0}.pack();
  retry_armed_ = true;
}

void LogPump::on_retry() noexcept {
  retry_armed_ = false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    if (!log_.working(i).blocked) continue;
    if (log_.working(i).lost) {
      block(i, EBADF);
      continue;
    }
    if (log_.flow(log_.slot(i).entry).odd != 0 && (queue_.odd_slots() > 1 || queue_.odd_wait())) {
      take_back(i);
      finish_piece(i);
      continue;
    }
    log_.working(i).blocked = false;
    if (log_.slot(i).writing != 0) {
      submit(i);
    } else {
      begin_batch(i);
    }
  }
  for (std::uint32_t entry = 0; entry < log_.table().size(); ++entry) {
    LogFlow& state = log_.flow(entry);
    if (state.draining == 0) continue;
    if (--state.draining != 0) {
      arm_retry();
      continue;
    }
    state.overdue = 1;
    owner_.drained(entry);
  }
}

void LogPump::on_stream(std::uint32_t entry, Stream stream) noexcept {
  LogFlow& state = log_.flow(entry);
  streams_.polled(entry, stream);
  if (log_.table().at(entry).stream[stream] < 0) return;
  state.ready |= bit(stream);
  queue_.enqueue(entry);
}

void LogPump::drain(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  state.draining = kDrainTicks;
  // Not for what still hangs.
  if (state.slot == 0) state.overdue = 0;
  state.budget = kDrainPieces;
  const Entry& process = log_.table().at(entry);
  for (const Stream stream : {kStdout, kStderr}) {
    if (process.carried() && process.stream[stream] >= 0) state.ready |= bit(stream);
  }
  queue_.enqueue(entry);
  check_drained(entry);
  if (state.draining != 0) arm_retry();
}

void LogPump::check_drained(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  if (state.draining == 0) return;
  const bool idle = state.slot == 0 && state.ready == 0;
  const bool stuck = state.slot != 0 ? log_.working(state.slot - 1).blocked
                                     : state.odd != 0 || queue_.is_full(entry);
  if (!idle && !stuck && state.overdue == 0 && state.budget > 0) return;
  state.draining = 0;
  owner_.drained(entry);
}

void LogPump::reopen(std::uint32_t entry, UniqueFd log) noexcept {
  LogFlow& state = log_.flow(entry);
  if (state.reopening != 0) close_log(state.next_log);
  state.next_log = log.release();
  state.reopening = 1;
  if (state.slot != 0 && log_.working(state.slot - 1).in_flight) return;
  if (state.slot == 0) {
    switch_log(entry);
    return;
  }
  take_new_log(state.slot - 1u);
}

// What was written of a batch before the rest was refused.
void LogPump::take_back(std::uint32_t slot_index) noexcept {
  const LogSlot& piece = log_.slot(slot_index);
  if (piece.writing == 0 || log_.working(slot_index).out_done == 0) return;
  const int ignored = ::ftruncate(log_.table().at(piece.entry).log, piece.log_size_before);
  static_cast<void>(ignored);
}

// The old file refused a batch: the new file gets it whole. If the old one was lost and is back,
// it gets the rest.
void LogPump::take_new_log(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  const std::uint32_t entry = piece.entry;
  const bool was_lost = std::exchange(log_.working(slot_index).lost, false);
  log_.working(slot_index).blocked = log_.working(slot_index).full = false;
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
  LogFlow& state = log_.flow(entry);
  Entry& process = log_.table().at(entry);
  close_log(std::exchange(process.log, std::exchange(state.next_log, -1)));
  state.reopening = 0;
  state.device = 0;
  state.write_by = LogWriteBy::unknown;
  state.odd = 0;
  process.flags |= kLogged;
  owner_.log_reopened(entry);
}

Status LogPump::open_staging() noexcept {
  for (LogSlot& piece : log_.table().header().slots) {
    if (piece.staging_read >= 0) continue;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys_error(errno, "pipe2", "staging");
    piece.staging_read = ends[0];
    piece.staging_write = ends[1];
  }
  return {};
}

void LogPump::start(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  const bool reopening = state.reopening != 0;
  const int next_log = reopening ? state.next_log : -1;
  state = {};
  state.reopening = reopening ? 1 : 0;
  state.next_log = next_log;
  const Entry& process = log_.table().at(entry);
  if (!process.carried()) return;
  for (const Stream stream : {kStdout, kStderr}) {
    if (process.stream[stream] >= 0) streams_.arm(entry, stream);
  }
}

void LogPump::expect_reopen(std::uint32_t entry, UniqueFd log) noexcept {
  log_.flow(entry).next_log = log.release();
  log_.flow(entry).reopening = 1;
}

bool LogPump::close(std::uint32_t entry) noexcept {
  LogFlow& state = log_.flow(entry);
  if (state.slot != 0) {
    const std::uint32_t slot_index = state.slot - 1u;
    if (log_.working(slot_index).in_flight && state.overdue == 0) {
      // drained() comes when the write has ended, or hangs.
      state.draining = kDrainTicks;
      state.budget = 0;
      arm_retry();
      return false;
    }
    // Blocked for good: what the log refused is lost with the container, as is what the pipe holds.
    state.ready = 0;
    if (log_.working(slot_index).in_flight) {
      log_.slot(slot_index).entry = kNoEntry;  // the slot is free when the write has ended
    } else {
      release(slot_index);
    }
  }
  streams_.close(entry, kStdout);
  streams_.close(entry, kStderr);
  queue_.leave(entry);
  Entry& process = log_.table().at(entry);
  close_log(std::exchange(process.log, -1));
  if (state.reopening != 0) close_log(state.next_log);
  state = {};
  state.next_log = -1;
  return true;
}

// Through the ring, behind the writes that are queued there. KERNEL: close(2) of a file of NFS or
// FUSE waits for its server, whoever else has it open; io_uring leaves that to a worker.
void LogPump::close_log(int log) noexcept {
  if (log < 0) return;
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_close(sqe, log);
  sqe->user_data = Token{TokenKind::log_closed, 0, 0, 0}.pack();
  ++closing_;
}

void LogPump::recover() noexcept {
  for (std::uint32_t i = 0; i < kLogSlots; ++i) recover_slot(i);
  // Where no write had begun, the expected reopen is simply done.
  for (std::uint32_t i = 0; i < log_.table().size(); ++i) {
    if (log_.table().at(i).is_process() && log_.flow(i).reopening != 0 && log_.flow(i).slot == 0)
      switch_log(i);
  }
}

void LogPump::recover_slot(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  if (piece.phase == SlotPhase::free) return;
  const bool known = piece.entry < log_.table().size() &&
                     log_.table().at(piece.entry).is_process() &&
                     log_.table().at(piece.entry).serial == piece.serial &&
                     piece.stream <= kStderr && piece.raw_bytes <= kRawBytesMax &&
                     (piece.writing == 0 || piece.batch_start <= piece.raw_bytes);
  std::byte* raw = log_.table().raw(static_cast<int>(slot_index));
  if (!known) {
    // Its process was forgotten: nobody wants these bytes.
    for (int rest = bytes_in(piece.staging_read); rest > 0; rest = bytes_in(piece.staging_read)) {
      if (::read(piece.staging_read, raw, kRawBytesMax) <= 0) break;
    }
    piece.phase = SlotPhase::free;
    return;
  }
  LogFlow& state = log_.flow(piece.entry);
  if (piece.phase == SlotPhase::moving) {
    piece.raw_bytes = static_cast<std::uint32_t>(bytes_in(piece.staging_read));
    piece.phase = SlotPhase::staged;
  }
  if (piece.phase == SlotPhase::staged) {
    if (piece.raw_bytes == 0 || !fill_raw(piece, raw)) {
      piece.phase = SlotPhase::free;
      return;
    }
  }
  state.slot = static_cast<std::uint8_t>(slot_index + 1);
  const Entry& process = log_.table().at(piece.entry);
  if (piece.writing == 0) {
    begin_batch(slot_index);
    return;
  }
  if (state.reopening != 0) {
    const std::optional<LogFile> next = look_at_log(state.next_log);
    // It had been done, only not answered.
    if (next && next->inode == piece.log_inode) switch_log(piece.entry);
  }
  if (look_at_log(process.log) || state.reopening != 0) {
    resume_batch(slot_index);
    return;
  }
  // 1. The batch is written whole; 2. keeper and agent are killed before its record is cleared, and
  // with them the last descriptors of the log; 3. the agent's successor brings the log back. Only
  // then can the log say what is in it, so the record stays until then.
  log_.working(slot_index).lost = true;
  block(slot_index, EBADF);
}

// Goes on with a batch that a dead keeper has begun.
void LogPump::resume_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = log_.slot(slot_index);
  const std::optional<LogFile> log = look_at_log(log_.table().at(piece.entry).log);
  if (!log || log->inode != piece.log_inode) {
    // Another file. What was written into the first one is not known: twice is better than never.
    piece.writing = 0;
    begin_batch(slot_index);
    return;
  }
  format_batch(slot_index);
  LogSlotState& batch = log_.working(slot_index);
  batch.device = log->device;
  const std::int64_t written = log->size - piece.log_size_before;
  if (written > 0)
    batch.out_done = static_cast<std::uint32_t>(std::min<std::int64_t>(written, batch.out_bytes));
  if (batch.out_done == batch.out_bytes) {
    end_batch(slot_index);
  } else {
    submit(slot_index);
  }
}

}  // namespace berth::keeper
