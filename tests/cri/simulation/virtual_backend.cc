// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/virtual_backend.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/check.h"
#include "tests/cri/simulation/virtual_clock.h"

namespace berth::simulation {

bool VirtualBackend::has_opcode(unsigned opcode) const noexcept {
  return opcode == IORING_OP_READ || opcode == IORING_OP_POLL_ADD || opcode == IORING_OP_NOP;
}

io_uring_sqe* VirtualBackend::get_sqe() noexcept {
  if (filled_ == entries_.size()) accept_entries();
  io_uring_sqe* sqe = &entries_[filled_++];
  *sqe = {};
  return sqe;
}

void VirtualBackend::accept_entries() {
  for (std::size_t i = 0; i < filled_; ++i) {
    const io_uring_sqe& sqe = entries_[i];
    if (sqe.opcode == IORING_OP_ASYNC_CANCEL) {
      cancel(sqe);
    } else {
      requests_.push_back(sqe);
    }
  }
  filled_ = 0;
}

void VirtualBackend::cancel(const io_uring_sqe& sqe) {
  const auto found =
      std::find_if(requests_.begin(), requests_.end(),
                   [&sqe](const io_uring_sqe& request) { return request.user_data == sqe.addr; });
  if (found == requests_.end()) {
    cqes_.push_back({.user_data = sqe.user_data, .res = -ENOENT, .flags = 0});
    return;
  }
  cqes_.push_back({.user_data = found->user_data, .res = -ECANCELED, .flags = 0});
  cqes_.push_back({.user_data = sqe.user_data, .res = 0, .flags = 0});
  requests_.erase(found);
}

bool VirtualBackend::attempt(const io_uring_sqe& sqe) {
  if (sqe.opcode == IORING_OP_NOP) {
    cqes_.push_back({.user_data = sqe.user_data, .res = 0, .flags = 0});
    return true;
  }
  const bool is_poll = sqe.opcode == IORING_OP_POLL_ADD;
  CHECK(is_poll || sqe.opcode == IORING_OP_READ);
  pollfd ready{sqe.fd, static_cast<short>(is_poll ? sqe.poll32_events : POLLIN), 0};
  if (::poll(&ready, 1, 0) <= 0) return false;
  if (!is_poll) {
    const ssize_t size = ::read(sqe.fd, reinterpret_cast<void*>(sqe.addr), sqe.len);
    const int res = size < 0 ? -errno : static_cast<int>(size);
    cqes_.push_back({.user_data = sqe.user_data, .res = res, .flags = 0});
    return true;
  }
  // The one multishot poll is the ring's own, of its eventfd: reading the count makes the next
  // write an edge.
  const bool is_multishot = (sqe.len & IORING_POLL_ADD_MULTI) != 0;
  std::uint64_t count = 0;
  if (is_multishot) static_cast<void>(!::read(sqe.fd, &count, sizeof count));
  cqes_.push_back({.user_data = sqe.user_data,
                   .res = ready.revents,
                   .flags = is_multishot ? IORING_CQE_F_MORE : 0U});
  return !is_multishot;
}

int VirtualBackend::submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept {
  accept_entries();
  std::erase_if(requests_, [this](const io_uring_sqe& sqe) { return attempt(sqe); });
  if (wait_nr == 0 || !cqes_.empty()) return 0;
  if (timeout_ns >= 0) {
    advance_virtual_time(timeout_ns);
    return -ETIME;
  }
  stalled_ = true;
  return -EINTR;
}

bool VirtualBackend::next_cqe(Cqe& cqe) noexcept {
  if (cqes_.empty()) return false;
  cqe = cqes_.front();
  cqes_.pop_front();
  return true;
}

}  // namespace berth::simulation
