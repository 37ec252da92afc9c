// SPDX-License-Identifier: Apache-2.0
// A kernel for the ring whose waits take virtual time: where the loop would wait for its next
// timer, the clock is set to that moment. It does what the simulation needs, in a fixed order:
// reads of pipes, polls, and requests to cancel them.
#pragma once

#include <array>
#include <deque>
#include <utility>
#include <vector>

#include "core/ring/ring_backend.h"

namespace berth::simulation {

class VirtualBackend final : public RingBackend {
 public:
  io_uring_sqe* get_sqe() noexcept override;
  int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept override;
  bool next_cqe(Cqe& cqe) noexcept override;
  bool has_opcode(unsigned opcode) const noexcept override;
  io_uring* uring() noexcept override { return nullptr; }

  // True when the loop would have waited for ever: no timer, no descriptor that becomes ready.
  bool take_stalled() noexcept { return std::exchange(stalled_, false); }

 private:
  void accept_entries();
  void cancel(const io_uring_sqe& sqe);
  // True when the request is done.
  bool attempt(const io_uring_sqe& sqe);

  std::array<io_uring_sqe, 64> entries_{};
  std::size_t filled_ = 0;
  std::vector<io_uring_sqe> requests_;
  std::deque<Cqe> cqes_;
  bool stalled_ = false;
};

}  // namespace berth::simulation
