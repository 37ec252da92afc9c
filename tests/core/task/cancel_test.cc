// SPDX-License-Identifier: Apache-2.0
// Cancellation reaches every wait, and no completed result is lost by it.
#include "core/task/cancel.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/task/shared.h"
#include "tests/core/task/loop.h"

namespace berth {
namespace {

// Waits at `steps` different places, one after the other, and releases what it took at each.
Task<void> wait_in_turn(std::array<Event, 3>* events, Mutex* mutex, Trace* trace) {
  Noted first(*trace, "first");
  co_await (*events)[0].wait();
  Noted second(*trace, "second");
  Mutex::Guard guard = co_await mutex->lock();
  Noted third(*trace, "third");
  co_await (*events)[1].wait();
  co_await yield();
  co_await (*events)[2].wait();
  trace->push_back("done");
}

// How far the task runs before it is cancelled.
struct Case {
  int events_set;
  bool mutex_free;
  Trace taken;
};

TEST(Cancel, EndsTheTaskAtEachPlaceWhereItCanWait) {
  const Case cases[] = {
      {0, true, {"+first", "-first"}},
      {1, false, {"+first", "+second", "-second", "-first"}},
      {1, true, {"+first", "+second", "+third", "-third", "-second", "-first"}},
      {2, true, {"+first", "+second", "+third", "-third", "-second", "-first"}},
  };
  for (const Case& given : cases) {
    std::array<Event, 3> events;
    Mutex mutex;
    Trace trace;
    ReadyQueue queue;
    RootTask<Mutex::Guard> holder(queue, [](Mutex* held) -> Task<Mutex::Guard> {
      Mutex::Guard guard = co_await held->lock();
      co_return guard;
    }(&mutex));
    queue.drain();
    if (given.mutex_free) static_cast<void>(holder.take().value());
    for (int i = 0; i < given.events_set; ++i) events[static_cast<std::size_t>(i)].set();

    RootTask<void> root(queue, wait_in_turn(&events, &mutex, &trace));
    queue.drain();
    EXPECT_FALSE(root.done());
    root.cancel();
    queue.drain();
    ASSERT_TRUE(root.done());
    EXPECT_EQ(root.take().error().code, Errc::cancelled);
    EXPECT_EQ(trace, given.taken);
    if (!given.mutex_free) static_cast<void>(holder.take().value());
    EXPECT_FALSE(mutex.locked());
  }
}

TEST(Cancel, BeforeTheStartEndsTheTaskAtItsFirstWait) {
  std::array<Event, 3> events;
  Mutex mutex;
  Trace trace;
  ReadyQueue queue;
  events[0].set();  // set or not: a cancelled task does not pass a wait
  RootTask<void> root(queue, wait_in_turn(&events, &mutex, &trace));
  root.cancel();
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(trace, (Trace{"+first", "-first"}));
}

Task<int> wait_then_give(Event* event, int number) {
  co_await event->wait();
  co_return number;
}

TEST(Cancel, AfterTheWaitIsOverDoesNotChangeItsResult) {
  Event event;
  ReadyQueue queue;
  RootTask<int> root(queue, wait_then_give(&event, 5));
  queue.drain();
  event.set();
  root.cancel();
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(*root.take(), 5);
}

Task<int> shielded_inside(Event* event) {
  int number = co_await shield(wait_then_give(event, 6));
  co_return number;
}

TEST(Cancel, DoesNotPassAShield) {
  Event event;
  ReadyQueue queue;
  RootTask<int> root(queue, shielded_inside(&event));
  queue.drain();
  root.cancel();
  queue.drain();
  EXPECT_FALSE(root.done());
  event.set();
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(*root.take(), 6);
}

Task<void> shielded_event(Event* first, Event* second) {
  co_await shield(first->wait());
  co_await second->wait();
}

TEST(Cancel, DoesNotPassAShieldAroundAnEventAndEndsTheNextWait) {
  Event first;
  Event second;
  ReadyQueue queue;
  RootTask<void> root(queue, shielded_event(&first, &second));
  queue.drain();
  root.cancel();
  queue.drain();
  EXPECT_FALSE(root.done());
  first.set();
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(root.take().error().code, Errc::cancelled);
}

TEST(Cancel, OfAParentContextReachesTheChildAndNotTheReverse) {
  CancelContext parent;
  CancelContext child(&parent);
  CancelContext sibling(&parent);
  child.cancel();
  EXPECT_FALSE(parent.cancelled());
  EXPECT_FALSE(sibling.cancelled());
  parent.cancel();
  EXPECT_TRUE(sibling.cancelled());
}

Task<int> wait_under(CancelContext* context, Event* event) {
  int number = co_await under(*context, wait_then_give(event, 7));
  co_return number;
}

// A deadline or a scope that is made after its parent was cancelled.
TEST(Cancel, ANewContextBelowACancelledOneIsCancelledAtOnce) {
  CancelContext parent;
  parent.cancel();
  CancelContext late(&parent);
  EXPECT_TRUE(late.cancelled());
  Event event;
  ReadyQueue queue;
  RootTask<int> root(queue, wait_under(&late, &event));
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(root.take().error().code, Errc::cancelled);
}

Task<std::string> slow_answer(Event* event, int* started) {
  ++*started;
  co_await event->wait();
  co_return "answer";
}

Task<std::string> join(std::shared_ptr<Shared<std::string>> attempt) {
  std::string answer = co_await attempt->wait();
  co_return answer;
}

TEST(Shared, EveryWaiterGetsTheOneResultAndACancelledWaiterLeavesTheAttemptRunning) {
  Event event;
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  int started = 0;
  auto attempt = Shared<std::string>::start(scope, slow_answer(&event, &started));
  RootTask<std::string> first(queue, join(attempt));
  RootTask<std::string> second(queue, join(attempt));
  queue.drain();
  first.cancel();
  queue.drain();
  EXPECT_EQ(first.take().error().code, Errc::cancelled);
  EXPECT_FALSE(second.done());
  event.set();
  queue.drain();
  EXPECT_EQ(*second.take(), "answer");
  RootTask<std::string> late(queue, join(attempt));
  queue.drain();
  EXPECT_EQ(*late.take(), "answer");
  EXPECT_EQ(started, 1);
}

TEST(Shared, AnErrorIsGivenToEveryWaiter) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  auto attempt = Shared<std::string>::start(
      scope, []() -> Task<std::string> { co_return make_error(Errc::aborted, "no room"); }());
  RootTask<std::string> first(queue, join(attempt));
  RootTask<std::string> second(queue, join(attempt));
  queue.drain();
  EXPECT_EQ(first.take().error().message(), "no room");
  EXPECT_EQ(second.take().error().message(), "no room");
}

TEST(Shared, AClosedScopeRefusesTheAttempt) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  static_cast<void>(scope.close());
  Event event;
  int started = 0;
  auto attempt = Shared<std::string>::start(scope, slow_answer(&event, &started));
  RootTask<std::string> waiter(queue, join(attempt));
  queue.drain();
  EXPECT_EQ(waiter.take().error().code, Errc::unavailable);
  EXPECT_EQ(started, 0);
}

}  // namespace
}  // namespace berth
