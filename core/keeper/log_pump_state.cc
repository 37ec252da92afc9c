// SPDX-License-Identifier: Apache-2.0
// LogPump's bookkeeping: the line of waiting entries, polls, opening, closing, and recovery of what
// a dead keeper left in the slots.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/keeper/log_file.h"
#include "core/keeper/log_pump.h"
#include "core/keeper/token.h"

namespace berth::keeper {
namespace {

constexpr std::size_t kOutBytes = kRawBytesMax + 4096;
static_assert(kOutBytes >= kRawBytesMax + kRecordOverhead);

std::uint8_t bit(Stream stream) noexcept {
  return static_cast<std::uint8_t>(1u << stream);
}

std::uint64_t stream_token(const Entry& entry, std::uint32_t index, Stream stream) noexcept {
  return Token{TokenKind::stream, stream, static_cast<std::uint16_t>(entry.serial), index}.pack();
}

int bytes_in(int pipe) noexcept {
  int bytes = 0;
  return pipe >= 0 && ::ioctl(pipe, FIONREAD, &bytes) == 0 ? bytes : 0;
}

}  // namespace

Result<LogPump> LogPump::create(Table& table, RawRing& ring, Owner& owner) {
  LogPump pump(table, ring, owner);
  constexpr sys::Mmap::Options kMemory{.protection = PROT_READ | PROT_WRITE,
                                       .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE};
  TRY(pump.flows_, sys::Mmap::create(-1, sizeof(Flow) * kEntriesMax, kMemory, "log flows"));
  TRY(pump.out_, sys::Mmap::create(-1, kOutBytes * kLogSlots, kMemory, "log buffers"));
  return pump;
}

LogPump::Flow& LogPump::flow(std::uint32_t entry) noexcept {
  return *(reinterpret_cast<Flow*>(flows_.data()) + entry);
}

std::span<char> LogPump::out(std::uint32_t slot_index) noexcept {
  return {reinterpret_cast<char*>(out_.data()) + kOutBytes * slot_index, kOutBytes};
}

Status LogPump::open_staging() noexcept {
  for (LogSlot& piece : table_->header().slots) {
    if (piece.staging_read >= 0) continue;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return sys_error(errno, "pipe2", "staging");
    piece.staging_read = ends[0];
    piece.staging_write = ends[1];
  }
  return {};
}

int LogPump::free_slot() const noexcept {
  // The lowest first: memory of slots that were never needed is never touched.
  for (int i = 0; i < kLogSlots; ++i) {
    if (table_->header().slots[i].phase == SlotPhase::free) return i;
  }
  return -1;
}

void LogPump::enqueue(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  if (state.queued != 0 || state.slot != 0 || state.ready == 0) return;
  state.queued = 1;
  state.next = kNoEntry;
  if (last_ == kNoEntry) {
    first_ = entry;
  } else {
    flow(last_).next = entry;
  }
  last_ = entry;
}

// `before`: who stands before it; kNoEntry: nobody.
void LogPump::leave_line(std::uint32_t entry, std::uint32_t before) noexcept {
  Flow& state = flow(entry);
  (before == kNoEntry ? first_ : flow(before).next) = state.next;
  if (last_ == entry) last_ = before;
  state.queued = 0;
}

// Out of the line: the first that may have a slot; kNoEntry: none.
std::uint32_t LogPump::take_next() noexcept {
  std::uint32_t before = kNoEntry;
  for (std::uint32_t entry = first_; entry != kNoEntry; entry = flow(entry).next) {
    if (may_have_slot(entry)) {
      leave_line(entry, before);
      return entry;
    }
    before = entry;
  }
  return kNoEntry;
}

bool LogPump::may_have_slot(std::uint32_t entry) noexcept {
  if (flow(entry).odd != 0 && odd_slots() > 0) return false;
  int busy = 0;
  bool any_full = false;
  for (int i = 0; i < kLogSlots; ++i) {
    if (table_->header().slots[i].phase != SlotPhase::free) ++busy;
    any_full = any_full || states_[i].full;
  }
  const bool last_slot = busy == kLogSlots - 1;
  if ((!any_full && !last_slot) || (table_->at(entry).flags & kLogged) == 0) return true;
  if (is_full(entry)) return false;
  return !last_slot || !would_have_all(entry);
}

// Whether the last slot would leave none to a log that can be written, should the writes to this
// one's filesystem hang.
bool LogPump::would_have_all(std::uint32_t entry) noexcept {
  const std::uint32_t device = device_of(entry);
  bool writes = false;
  for (std::uint32_t i = 0; i < kLogSlots; ++i) {
    const SlotState& state = states_[i];
    if (slot(i).phase == SlotPhase::free) continue;
    const bool same = state.in_flight && state.device == device;
    const bool odd = slot(i).entry != kNoEntry && flow(slot(i).entry).odd != 0;
    if (!same && !odd && !state.full) return false;
    writes = writes || same;
  }
  return writes;
}

int LogPump::odd_slots() noexcept {
  int count = 0;
  for (const LogSlot& piece : table_->header().slots) {
    const bool busy = piece.phase != SlotPhase::free && piece.entry != kNoEntry;
    if (busy && flow(piece.entry).odd != 0) ++count;
  }
  return count;
}

bool LogPump::odd_wait() noexcept {
  for (std::uint32_t entry = first_; entry != kNoEntry; entry = flow(entry).next) {
    if (flow(entry).odd != 0) return true;
  }
  return false;
}

// Whether the log's filesystem is known to be.
bool LogPump::is_full(std::uint32_t entry) noexcept {
  if ((table_->at(entry).flags & kLogged) == 0) return false;
  return std::any_of(states_, states_ + kLogSlots, [&](const SlotState& slot) {
    return slot.full && slot.device == device_of(entry);
  });
}

// 0: of a log that cannot be looked at.
std::uint32_t LogPump::device_of(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  if (state.device == 0) {
    const std::optional<LogFile> log = look_at_log(table_->at(entry).log);
    if (log) state.device = log->device;
  }
  return state.device;
}

void LogPump::arm(std::uint32_t entry, Stream stream) noexcept {
  Flow& state = flow(entry);
  const Entry& process = table_->at(entry);
  if ((state.armed & bit(stream)) != 0) return;
  io_uring_sqe* sqe = ring_->get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_add(sqe, process.stream[stream], POLLIN);
  sqe->user_data = stream_token(process, entry, stream);
  state.armed |= bit(stream);
}

void LogPump::disarm(std::uint32_t entry, Stream stream) noexcept {
  Flow& state = flow(entry);
  if ((state.armed & bit(stream)) == 0) return;
  state.armed &= static_cast<std::uint8_t>(~bit(stream));
  io_uring_sqe* sqe = ring_->get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_remove(sqe, stream_token(table_->at(entry), entry, stream));
  sqe->user_data = Token{}.pack();
}

void LogPump::close_stream(std::uint32_t entry, Stream stream) noexcept {
  disarm(entry, stream);
  Flow& state = flow(entry);
  state.ready &= static_cast<std::uint8_t>(~bit(stream));
  UniqueFd closed(std::exchange(table_->at(entry).stream[stream], -1));
}

void LogPump::start(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  const bool reopening = state.reopening != 0;
  const int next_log = reopening ? state.next_log : -1;
  state = {};
  state.reopening = reopening ? 1 : 0;
  state.next_log = next_log;
  const Entry& process = table_->at(entry);
  if (!process.carried()) return;
  for (const Stream stream : {kStdout, kStderr}) {
    if (process.stream[stream] >= 0) arm(entry, stream);
  }
}

void LogPump::expect_reopen(std::uint32_t entry, UniqueFd log) noexcept {
  flow(entry).next_log = log.release();
  flow(entry).reopening = 1;
}

bool LogPump::close(std::uint32_t entry) noexcept {
  Flow& state = flow(entry);
  if (state.slot != 0) {
    const std::uint32_t slot_index = state.slot - 1u;
    if (states_[slot_index].in_flight && state.overdue == 0) {
      // drained() comes when the write has ended, or hangs.
      state.draining = kDrainTicks;
      state.budget = 0;
      arm_retry();
      return false;
    }
    // Blocked for good: what the log refused is lost with the container, as is what the pipe holds.
    state.ready = 0;
    if (states_[slot_index].in_flight) {
      slot(slot_index).entry = kNoEntry;  // the slot is free when the write has ended
    } else {
      release(slot_index);
    }
  }
  close_stream(entry, kStdout);
  close_stream(entry, kStderr);
  if (state.queued != 0) {
    std::uint32_t before = kNoEntry;
    for (std::uint32_t i = first_; i != entry; i = flow(i).next) before = i;
    leave_line(entry, before);
  }
  Entry& process = table_->at(entry);
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
  io_uring_sqe* sqe = ring_->get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_close(sqe, log);
  sqe->user_data = Token{TokenKind::log_closed, 0, 0, 0}.pack();
  ++closing_;
}

void LogPump::recover() noexcept {
  for (std::uint32_t i = 0; i < kLogSlots; ++i) recover_slot(i);
  // Where no write had begun, the expected reopen is simply done.
  for (std::uint32_t i = 0; i < table_->size(); ++i) {
    if (table_->at(i).is_process() && flow(i).reopening != 0 && flow(i).slot == 0) switch_log(i);
  }
}

void LogPump::recover_slot(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  if (piece.phase == SlotPhase::free) return;
  const bool known = piece.entry < table_->size() && table_->at(piece.entry).is_process() &&
                     table_->at(piece.entry).serial == piece.serial && piece.stream <= kStderr &&
                     piece.raw_bytes <= kRawBytesMax &&
                     (piece.writing == 0 || piece.batch_start <= piece.raw_bytes);
  std::byte* raw = table_->raw(static_cast<int>(slot_index));
  if (!known) {
    // Its process was forgotten: nobody wants these bytes.
    for (int rest = bytes_in(piece.staging_read); rest > 0; rest = bytes_in(piece.staging_read)) {
      if (::read(piece.staging_read, raw, kRawBytesMax) <= 0) break;
    }
    piece.phase = SlotPhase::free;
    return;
  }
  Flow& state = flow(piece.entry);
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
  const Entry& process = table_->at(piece.entry);
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
  states_[slot_index].lost = true;
  block(slot_index, EBADF);
}

// Goes on with a batch that a dead keeper has begun.
void LogPump::resume_batch(std::uint32_t slot_index) noexcept {
  LogSlot& piece = slot(slot_index);
  const std::optional<LogFile> log = look_at_log(table_->at(piece.entry).log);
  if (!log || log->inode != piece.log_inode) {
    // Another file. What was written into the first one is not known: twice is better than never.
    piece.writing = 0;
    begin_batch(slot_index);
    return;
  }
  format_batch(slot_index);
  SlotState& batch = states_[slot_index];
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
