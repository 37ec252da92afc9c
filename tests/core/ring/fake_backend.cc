// SPDX-License-Identifier: Apache-2.0
#include "tests/core/ring/fake_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace berth {
namespace {

constexpr unsigned kTransferMost = 4096;  // a pipe that polls writable accepts so much

bool reads(std::uint8_t opcode) {
  return opcode == IORING_OP_READ || opcode == IORING_OP_RECV || opcode == IORING_OP_RECVMSG ||
         opcode == IORING_OP_ACCEPT;
}

bool writes(std::uint8_t opcode) {
  return opcode == IORING_OP_WRITE || opcode == IORING_OP_SEND || opcode == IORING_OP_SENDMSG ||
         opcode == IORING_OP_WRITEV;
}

short wanted_events(const io_uring_sqe& sqe) {
  if (sqe.opcode == IORING_OP_POLL_ADD) return static_cast<short>(sqe.poll32_events);
  if (reads(sqe.opcode)) return POLLIN;
  return writes(sqe.opcode) ? POLLOUT : 0;
}

short ready_events(const io_uring_sqe& sqe) {
  pollfd entry{sqe.fd, wanted_events(sqe), 0};
  return ::poll(&entry, 1, 0) > 0 ? entry.revents : short{0};
}

long as_system_call(const io_uring_sqe& sqe, unsigned length) {
  void* data = reinterpret_cast<void*>(sqe.addr);
  const char* path = reinterpret_cast<const char*>(sqe.addr);
  const bool at_current = sqe.off == ~std::uint64_t{0};
  switch (sqe.opcode) {
    case IORING_OP_NOP:
      return 0;
    case IORING_OP_READ:
      return at_current ? ::read(sqe.fd, data, length)
                        : ::pread(sqe.fd, data, length, static_cast<off_t>(sqe.off));
    case IORING_OP_WRITE:
      return at_current ? ::write(sqe.fd, data, length)
                        : ::pwrite(sqe.fd, data, length, static_cast<off_t>(sqe.off));
    case IORING_OP_RECV:
      return ::recv(sqe.fd, data, length, static_cast<int>(sqe.msg_flags));
    case IORING_OP_SEND:
      return ::send(sqe.fd, data, length, static_cast<int>(sqe.msg_flags));
    case IORING_OP_RECVMSG:
      return ::recvmsg(sqe.fd, static_cast<msghdr*>(data), static_cast<int>(sqe.msg_flags));
    case IORING_OP_SENDMSG:
      return ::sendmsg(sqe.fd, static_cast<msghdr*>(data), static_cast<int>(sqe.msg_flags));
    case IORING_OP_WRITEV:
      return ::writev(sqe.fd, static_cast<iovec*>(data), static_cast<int>(sqe.len));
    case IORING_OP_ACCEPT:
      return ::accept4(sqe.fd, nullptr, nullptr, static_cast<int>(sqe.accept_flags));
    case IORING_OP_CLOSE:
      return ::close(sqe.fd);
    case IORING_OP_FSYNC:
      return ::fsync(sqe.fd);
    case IORING_OP_OPENAT:
      return ::openat(sqe.fd, path, static_cast<int>(sqe.open_flags), sqe.len);
    case IORING_OP_MKDIRAT:
      return ::mkdirat(sqe.fd, path, sqe.len);
    case IORING_OP_UNLINKAT:
      return ::unlinkat(sqe.fd, path, static_cast<int>(sqe.unlink_flags));
    default:
      errno = EINVAL;
      return -1;
  }
}

}  // namespace

FakeBackend::FakeBackend(Faults faults) : faults_(faults), random_(faults.seed) {
  entries_.resize(faults.entries);
}

bool FakeBackend::has_opcode(unsigned opcode) const noexcept {
  return opcode != kOpWaitid || faults_.waitid;
}

io_uring_sqe* FakeBackend::get_sqe() noexcept {
  if (dice(faults_.takes_nothing)) return nullptr;
  if (filled_ == entries_.size()) accept_entries();
  io_uring_sqe* sqe = &entries_[filled_++];
  *sqe = {};
  return sqe;
}

void FakeBackend::accept_entries() {
  for (std::size_t i = 0; i < filled_; ++i) begin(entries_[i]);
  filled_ = 0;
}

void FakeBackend::begin(const io_uring_sqe& sqe) {
  if (sqe.opcode == IORING_OP_ASYNC_CANCEL) {
    cancel(sqe);
    return;
  }
  Request request{sqe};
  if (dice(faults_.late)) request.late_turns = 1 + random_() % 5;
  requests_.push_back(request);
}

// Like the kernel, it has three answers: the operation was cancelled (the two completions come in
// either order); it is running and will be interrupted; it is unknown.
void FakeBackend::cancel(const io_uring_sqe& sqe) {
  const auto found =
      std::find_if(requests_.begin(), requests_.end(),
                   [&sqe](const Request& request) { return request.sqe.user_data == sqe.addr; });
  if (found == requests_.end()) {
    complete(sqe.user_data, -ENOENT);
  } else if (found->running || dice(faults_.cancel_loses)) {
    found->running = true;
    found->late_turns = 1 + random_() % 5;
    complete(sqe.user_data, -EALREADY);
  } else {
    const std::uint64_t target = found->sqe.user_data;
    requests_.erase(found);
    const bool target_first = dice(50);
    if (target_first) complete(target, -ECANCELED);
    complete(sqe.user_data, 0);
    if (!target_first) complete(target, -ECANCELED);
  }
}

int FakeBackend::submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept {
  while (!overflowed_.empty() && cqes_.size() < faults_.cq_entries) {
    cqes_.push_back(overflowed_.front());
    overflowed_.pop_front();
  }
  if (!overflowed_.empty()) return -EBUSY;
  if (dice(faults_.enter_interrupted)) return -EINTR;
  if (dice(faults_.takes_nothing)) return -EAGAIN;
  accept_entries();
  step();
  while (wait_nr > 0 && cqes_.empty()) {
    if (!wait_for_ready(timeout_ns)) return -ETIME;
    step();
  }
  return 0;
}

void FakeBackend::step() {
  std::shuffle(requests_.begin(), requests_.end(), random_);
  // By index: attempt() may add nothing, but completing a request removes it.
  for (std::size_t i = 0; i < requests_.size();) {
    if (attempt(requests_[i])) {
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

// True when the request is done.
bool FakeBackend::attempt(Request& request) {
  scribble(request);
  if (request.late_turns > 0) {
    --request.late_turns;
    return false;
  }
  const std::uint64_t user_data = request.sqe.user_data;
  if (request.running) {
    complete(user_data, -EINTR);
    return true;
  }
  if (request.sqe.opcode == IORING_OP_POLL_ADD) return poll_once(request);
  if (wanted_events(request.sqe) != 0 && ready_events(request.sqe) == 0) return false;
  if (request.sqe.opcode != IORING_OP_CLOSE && dice(faults_.interrupted)) {
    complete(user_data, -EINTR);
    return true;
  }
  unsigned length = std::min(request.sqe.len, kTransferMost);
  if (length > 1 && dice(faults_.short_transfer)) length = 1 + random_() % (length - 1);
  const long answer = as_system_call(request.sqe, length);
  complete(user_data, answer < 0 ? -errno : static_cast<int>(answer));
  return true;
}

bool FakeBackend::poll_once(Request& request) {
  const short events = ready_events(request.sqe);
  if (events == 0) return false;
  const std::uint64_t user_data = request.sqe.user_data;
  if ((request.sqe.len & IORING_POLL_ADD_MULTI) == 0) {
    complete(user_data, events);
    return true;
  }
  // In these tests only an eventfd is polled edge-triggered: reading the count makes the next write
  // an edge.
  std::uint64_t count = 0;
  static_cast<void>(!::read(request.sqe.fd, &count, sizeof count));
  const bool room = cqes_.size() < faults_.cq_entries;
  complete(user_data, events, room ? IORING_CQE_F_MORE : 0);
  return !room;
}

// Sleeps until a request can go on; false after the time-out.
bool FakeBackend::wait_for_ready(std::int64_t timeout_ns) {
  std::vector<pollfd> entries;
  int timeout_ms = timeout_ns < 0 ? -1 : static_cast<int>((timeout_ns + 999'999) / 1'000'000);
  for (const Request& request : requests_) {
    if (request.late_turns > 0 || request.running || wanted_events(request.sqe) == 0) return true;
    entries.push_back(pollfd{request.sqe.fd, wanted_events(request.sqe), 0});
  }
  return ::poll(entries.data(), entries.size(), timeout_ms) != 0;
}

void FakeBackend::complete(std::uint64_t user_data, int res, unsigned flags) {
  if (cqes_.size() < faults_.cq_entries) {
    cqes_.push_back(Cqe{user_data, res, flags});
  } else {
    ++overflows_;
    overflowed_.push_back(Cqe{user_data, res, flags});
  }
}

void FakeBackend::scribble(const Request& request) {
  if (request.sqe.opcode == IORING_OP_READ || request.sqe.opcode == IORING_OP_RECV) {
    ::memset(reinterpret_cast<void*>(request.sqe.addr), 0xEE, request.sqe.len);
  }
}

bool FakeBackend::next_cqe(Cqe& cqe) noexcept {
  if (cqes_.empty()) return false;
  cqe = cqes_.front();
  cqes_.pop_front();
  return true;
}

}  // namespace berth
