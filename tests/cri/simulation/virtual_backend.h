// SPDX-License-Identifier: Apache-2.0
// The seeded kernel of tests/core/ring whose waits take virtual time: where the loop would wait for
// its next timer, the clock is set to that moment.
#pragma once

#include <deque>

#include "tests/core/ring/fake_backend.h"

namespace berth::simulation {

class VirtualBackend final : public RingBackend {
 public:
  VirtualBackend() : kernel_(FakeBackend::Faults{.entries = 64}) {}

  io_uring_sqe* get_sqe() noexcept override { return kernel_.get_sqe(); }
  int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept override;
  bool next_cqe(Cqe& cqe) noexcept override;
  bool has_opcode(unsigned opcode) const noexcept override { return kernel_.has_opcode(opcode); }
  io_uring* uring() noexcept override { return nullptr; }

  // True when the loop would have waited for ever: no timer, no descriptor that becomes ready.
  bool take_stalled() noexcept { return std::exchange(stalled_, false); }

 private:
  void collect() noexcept;

  FakeBackend kernel_;
  std::deque<Cqe> cqes_;
  bool stalled_ = false;
};

}  // namespace berth::simulation
