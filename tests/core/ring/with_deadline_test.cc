// SPDX-License-Identifier: Apache-2.0
// A limit on an awaitable that is no task. Limits on tasks: ring_test, cancel_op_test, timers_test.
#include "core/ring/with_deadline.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "core/task/event.h"
#include "tests/core/ring/fixture.h"

namespace berth {
namespace {

class WithDeadline : public RingFixture {};

Deadline soon() {
  return Deadline::after_ms(5);
}
Deadline late() {
  return Deadline::after_ms(60'000);
}

TEST_F(WithDeadline, EndsTheWaitForAnEvent) {
  Event event;
  Result<void> outcome = ring().run_until(with_deadline(ring(), soon(), event.wait()));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(outcome.error().sys_errno, ETIMEDOUT);
  event.set();
  EXPECT_TRUE(ring().run_until(with_deadline(ring(), late(), event.wait())).ok());
}

TEST_F(WithDeadline, EndsARingOperationAndGivesItsValueOtherwise) {
  Pair pipe = make_pipe();
  RingOp silent = ring().poll(pipe.read.get(), POLLIN);
  Result<int> outcome = ring().run_until(with_deadline(ring(), soon(), std::move(silent)));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(outcome.error().op, "poll");
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  RingOp ready = ring().poll(pipe.read.get(), POLLIN);
  Result<int> events = ring().run_until(with_deadline(ring(), late(), std::move(ready)));
  ASSERT_TRUE(events.ok());
  EXPECT_EQ(*events, POLLIN);
}

Task<int> poll_inside_a_task(Ring& ring, int fd) {
  int events = co_await with_deadline(ring, soon(), ring.poll(fd, POLLIN));
  co_return events;
}

TEST_F(WithDeadline, TakesTheOperationOfARunningTask) {
  Pair pipe = make_pipe();
  Result<int> outcome = ring().run_until(poll_inside_a_task(ring(), pipe.read.get()));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, Errc::deadline_exceeded);
}

Task<void> wait_forever(Event* event) {
  co_await event->wait();
}

TEST_F(WithDeadline, CancelsTheScopeWhoseCloseItLimits) {
  Event never;
  Scope scope(ring().ready(), nullptr);
  scope.spawn(wait_forever(&never));
  EXPECT_TRUE(ring().run_until(with_deadline(ring(), soon(), scope.close())).ok());
  EXPECT_TRUE(scope.cancelled());
  EXPECT_EQ(scope.size(), 0U);
}

// The limit applies to one wait: the task's next wait is cancelled with the task alone.
Task<void> wait_twice(Ring& ring, Event* first, Event* second) {
  CancelContext limited;
  DeadlineTimer timer(ring.timers(), soon(), limited);
  Result<void> outcome = co_await under(limited, first->wait()).result();
  CHECK(!outcome.ok() && timer.fired());
  co_await second->wait();
}

TEST_F(WithDeadline, DoesNotLimitTheNextWait) {
  Event first;
  Event second;
  second.set();
  EXPECT_TRUE(ring().run_until(wait_twice(ring(), &first, &second)).ok());
  second.reset();
  Result<void> cancelled = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(50), wait_twice(ring(), &first, &second)));
  ASSERT_FALSE(cancelled.ok());
  EXPECT_EQ(cancelled.error().code, Errc::deadline_exceeded);
}

}  // namespace
}  // namespace berth
