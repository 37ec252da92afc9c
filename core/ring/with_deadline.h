// SPDX-License-Identifier: Apache-2.0
// with_deadline: a limit on a wait: a whole task, or any other awaitable.
//
//   std::string answer = co_await with_deadline(ring, Deadline::after_ms(200), ask(ring));
//   co_await with_deadline(ring, Deadline::after_ms(200), event.wait());
//
// When the deadline passes, everything the task waits for is cancelled; the task runs its undo, and
// when it has ended the caller gets Errc::deadline_exceeded with the name of the operation that was
// cancelled. So the caller goes on later than the deadline by the time that the undo takes. A task
// that succeeds in spite of the deadline keeps its value.
#pragma once

#include <errno.h>

#include <utility>

#include "core/ring/ring.h"

namespace berth {

// Cancels a context at a deadline.
class DeadlineTimer final : private Timer {
 public:
  DeadlineTimer(Timers& timers, Deadline deadline, CancelContext& context) : context_(context) {
    set(timers, deadline);
  }
  bool fired() const noexcept { return fired_; }

 private:
  void on_time() noexcept override {
    fired_ = true;
    context_.cancel();
  }

  CancelContext& context_;
  bool fired_ = false;
};

// `ring` outlives the wait.
template <Awaitable A, typename T = ValueOf<A>>
Task<T> with_deadline(Ring& ring, Deadline deadline, A awaitable) {
  TaskContext context = co_await this_task();
  CancelContext limited(context.cancel);
  DeadlineTimer timer(ring.timers(), deadline, limited);
  Result<T> outcome = co_await under(limited, std::move(awaitable)).result();
  if (!outcome.ok() && timer.fired() && outcome.error().is(Errc::cancelled)) {
    outcome.error().code = Errc::deadline_exceeded;
    outcome.error().sys_errno = ETIMEDOUT;
  }
  if constexpr (std::is_void_v<T>) {
    co_await std::move(outcome);
  } else {
    co_return outcome;
  }
}

}  // namespace berth
