// SPDX-License-Identifier: Apache-2.0
// Event and Mutex.
#include "core/task/event.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "tests/core/task/loop.h"

namespace berth {
namespace {

Task<void> wait_for(Event* event, std::string name, Trace* trace) {
  co_await event->wait();
  trace->push_back(name);
}

TEST(Event, SetWakesAllWaitersInTheOrderTheyCame) {
  ReadyQueue queue;
  Event event;
  Trace trace;
  Scope scope(queue, nullptr);
  for (const char* name : {"a", "b", "c"}) scope.spawn(wait_for(&event, name, &trace));
  queue.drain();
  event.set();
  EXPECT_EQ(trace, Trace());  // never inside set()
  queue.drain();
  EXPECT_EQ(trace, (Trace{"a", "b", "c"}));
}

TEST(Event, StaysSetUntilReset) {
  ReadyQueue queue;
  Event event;
  Trace trace;
  Scope scope(queue, nullptr);
  event.set();
  scope.spawn(wait_for(&event, "a", &trace));
  queue.drain();
  EXPECT_EQ(trace, Trace{"a"});
  event.reset();
  scope.spawn(wait_for(&event, "b", &trace));
  queue.drain();
  EXPECT_EQ(trace, Trace{"a"});
  event.set();
  queue.drain();
  EXPECT_EQ(trace, (Trace{"a", "b"}));
}

Task<void> work_under_lock(Mutex* mutex, std::string name, Trace* trace, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    Mutex::Guard guard = co_await mutex->lock();
    trace->push_back(name + " in");
    co_await yield();
    trace->push_back(name + " out");
  }
}

TEST(Mutex, LetsOneInAtATimeAndTurnsAreFair) {
  ReadyQueue queue;
  Mutex mutex;
  Trace trace;
  Scope scope(queue, nullptr);
  scope.spawn(work_under_lock(&mutex, "a", &trace, 2));
  scope.spawn(work_under_lock(&mutex, "b", &trace, 2));
  scope.spawn(work_under_lock(&mutex, "c", &trace, 1));
  queue.drain();
  EXPECT_EQ(trace, (Trace{"a in", "a out", "b in", "b out", "c in", "c out", "a in", "a out",
                          "b in", "b out"}));
  EXPECT_FALSE(mutex.locked());
}

Task<void> lock_then_fail(Mutex* mutex) {
  Mutex::Guard guard = co_await mutex->lock();
  co_await yield();
  co_await fail(Errc::aborted, "inside");
}

TEST(Mutex, AnErrorInsideReleasesIt) {
  ReadyQueue queue;
  Mutex mutex;
  Trace trace;
  Scope scope(queue, nullptr);
  scope.spawn(lock_then_fail(&mutex));
  scope.spawn(work_under_lock(&mutex, "b", &trace, 1));
  queue.drain();
  EXPECT_EQ(trace, (Trace{"b in", "b out"}));
}

Task<void> hold_until(Mutex* mutex, Event* event) {
  Mutex::Guard guard = co_await mutex->lock();
  co_await event->wait();
}

TEST(Mutex, AWaiterDestroyedAfterItWasGivenTheLockPassesItOn) {
  ReadyQueue queue;
  Mutex mutex;
  Event event;
  Trace trace;
  Scope scope(queue, nullptr);
  scope.spawn(hold_until(&mutex, &event));
  queue.drain();
  std::optional<RootTask<void>> dropped;
  dropped.emplace(queue, work_under_lock(&mutex, "dropped", &trace, 1));
  queue.drain();
  scope.spawn(work_under_lock(&mutex, "next", &trace, 1));
  queue.drain();
  event.set();
  queue.drain(1);  // the holder ends and gives the lock to the waiter that is dropped next
  dropped.reset();
  queue.drain();
  EXPECT_EQ(trace, (Trace{"next in", "next out"}));
  EXPECT_FALSE(mutex.locked());
}

TEST(Mutex, ACancelledWaiterLeavesTheQueue) {
  ReadyQueue queue;
  Mutex mutex;
  Event event;
  Trace trace;
  Scope scope(queue, nullptr);
  scope.spawn(hold_until(&mutex, &event));
  queue.drain();
  RootTask<void> impatient(queue, work_under_lock(&mutex, "impatient", &trace, 1));
  queue.drain();
  scope.spawn(work_under_lock(&mutex, "patient", &trace, 1));
  queue.drain();
  impatient.cancel();
  queue.drain();
  EXPECT_EQ(impatient.take().error().code, Errc::cancelled);
  event.set();
  queue.drain();
  EXPECT_EQ(trace, (Trace{"patient in", "patient out"}));
}

// 1. the holder is about to unlock; 2. the first in line is cancelled; 3. the holder unlocks.
TEST(Mutex, AWaiterThatWasCancelledIsNotGivenTheLockAnyMore) {
  ReadyQueue queue;
  Mutex mutex;
  Event event;
  Trace trace;
  Scope scope(queue, nullptr);
  scope.spawn(hold_until(&mutex, &event));
  queue.drain();
  RootTask<void> impatient(queue, work_under_lock(&mutex, "impatient", &trace, 1));
  queue.drain();
  scope.spawn(work_under_lock(&mutex, "patient", &trace, 1));
  queue.drain();
  event.set();
  impatient.cancel();
  queue.drain();
  EXPECT_EQ(impatient.take().error().code, Errc::cancelled);
  EXPECT_EQ(trace, (Trace{"patient in", "patient out"}));
  EXPECT_FALSE(mutex.locked());
}

}  // namespace
}  // namespace berth
