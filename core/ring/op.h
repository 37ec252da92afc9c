// SPDX-License-Identifier: Apache-2.0
// Memory the kernel may touch. From the moment an operation is submitted until its terminal
// completion, its state and the caller's buffers belong to the ring, cancelled or not. A cancelled
// operation is therefore waited for: its awaiter goes on only when the kernel has answered both the
// operation and the cancel request, so no user_data is ever reused while the kernel knows it.
// Destroying an operation in the kernel (a task dropped while it waits) is a bug and aborts.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "core/task/promise.h"

namespace berth {

class Ring;

// One submission entry and its way through the ring. `sqe_` is filled when the object is made and
// copied into the queue when there is room.
class Submission : public Link {
 public:
  Submission() = default;
  // NOLINTNEXTLINE(bugprone-use-after-move): Link moves only its own part.
  Submission(Submission&& other) noexcept : Link(std::move(other)), sqe_(other.sqe_) {
    // NOLINTNEXTLINE(bugprone-use-after-move)
    CHECK(other.quiet());
  }
  Submission& operator=(Submission&&) = delete;

 protected:
  ~Submission() { CHECK(quiet()); }

  // A completion arrived; IORING_CQE_F_MORE in flags means that others follow. Must not resume
  // anything in place.
  virtual void on_cqe(int res, unsigned flags) noexcept = 0;
  // After the terminal completion, and the cancel request's if there was one: the memory is ours
  // again and the object may be submitted again.
  virtual void on_end() noexcept = 0;

  bool quiet() const noexcept { return state_ == State::idle && cancel_ == Cancel::none; }

  io_uring_sqe sqe_{};

 private:
  friend Ring;
  enum class State : std::uint8_t { idle, queued, in_kernel };
  enum class Cancel : std::uint8_t { none, queued, in_kernel };

  // For the ring's own submissions, after the kernel's ring was closed.
  void abandon() noexcept {
    state_ = State::idle;
    cancel_ = Cancel::none;
  }

  State state_ = State::idle;
  Cancel cancel_ = Cancel::none;
};

// An awaitable operation: `int n = co_await ring.read(fd, buffer);`. Gives what the system call
// would return, or its Error with the operation's name and the fd or path. Interrupted operations
// (EINTR) are submitted again. Moves only before it is awaited.
class [[nodiscard]] RingOp final : public Submission, public Leaf {
 public:
  struct Name {
    const char* op;
    const char* path = nullptr;  // of operations on paths; lives as long as the operation
    bool cancellable = true;     // false: submitted and finished even when the task is cancelled
  };

  RingOp(Ring& ring, Name name) noexcept : ring_(&ring), name_(name) {}
  RingOp(RingOp&&) noexcept = default;

  io_uring_sqe& sqe() noexcept { return sqe_; }
  AsResult<RingOp> result() && { return AsResult<RingOp>(std::move(*this)); }

  bool suspend(PromiseBase& waiter);
  Result<int> resume();
  void on_cancel() noexcept override;

 private:
  void on_cqe(int res, unsigned flags) noexcept override;
  void on_end() noexcept override;

  Ring* ring_;
  Name name_;
  int res_ = 0;
  bool cancelled_ = false;
};

}  // namespace berth
