// SPDX-License-Identifier: Apache-2.0
// A fake kernel with a seed. It runs the operations as ordinary system calls, and adds orders and
// faults that are rare in the real one: short transfers, EINTR, late and reordered completions, a
// cancel that loses its race or finds the operation running, a completion queue that overflows
// (which also ends multishots), a submission queue that takes nothing. The same seed gives the same
// faults as long as the descriptors become ready in the same order.
//
// While a read is in this kernel, its buffer is filled with garbage: AddressSanitizer finds a
// buffer that was freed too early, and the test finds one that was used too early.
#pragma once

#include <deque>
#include <random>
#include <vector>

#include "core/ring/ring_backend.h"

namespace berth {

class FakeBackend final : public RingBackend {
 public:
  // Probabilities in percent.
  struct Faults {
    unsigned seed = 1;
    unsigned short_transfer = 0;
    unsigned interrupted = 0;        // an operation completes with EINTR
    unsigned late = 0;               // an operation makes no progress for some turns
    unsigned cancel_loses = 0;       // the operation was running: the request says EALREADY
    unsigned enter_interrupted = 0;  // the wait returns EINTR
    unsigned takes_nothing = 0;      // no submission entry, or EAGAIN for the submission
    unsigned entries = 8;
    unsigned cq_entries = 1024;
    bool waitid = false;
  };

  explicit FakeBackend(Faults faults);

  io_uring_sqe* get_sqe() noexcept override;
  int submit_and_wait(unsigned wait_nr, std::int64_t timeout_ns) noexcept override;
  bool next_cqe(Cqe& cqe) noexcept override;
  bool has_opcode(unsigned opcode) const noexcept override;
  io_uring* uring() noexcept override { return nullptr; }

  std::uint64_t overflows() const noexcept { return overflows_; }

 private:
  struct Request {
    io_uring_sqe sqe;
    unsigned late_turns = 0;
    bool running = false;  // it can no longer be cancelled
  };

  bool dice(unsigned percent) { return random_() % 100 < percent; }
  void accept_entries();
  void begin(const io_uring_sqe& sqe);
  void cancel(const io_uring_sqe& sqe);
  void step();
  bool attempt(Request& request);
  bool poll_once(Request& request);
  bool wait_for_ready(std::int64_t timeout_ns);
  void complete(std::uint64_t user_data, int res, unsigned flags = 0);
  void scribble(const Request& request);

  Faults faults_;
  std::mt19937 random_;
  std::vector<io_uring_sqe> entries_;
  std::size_t filled_ = 0;
  std::vector<Request> requests_;
  std::deque<Cqe> cqes_;
  std::deque<Cqe> overflowed_;
  std::uint64_t overflows_ = 0;
};

}  // namespace berth
