// SPDX-License-Identifier: Apache-2.0
// Scope: no task that it started outlives it, and no task's error is lost.
#include "core/task/scope.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/core/task/loop.h"

namespace berth {
namespace {

Task<void> wait_and_note(Event* event, Trace* trace, std::string name) {
  Noted noted(*trace, name);
  co_await event->wait();
}

Task<void> close_scope(Scope* scope) {
  co_await scope->close();
}

TEST(Scope, SpawnStartsNothingBeforeTheLoopTurns) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  Trace trace;
  Event event;
  event.set();
  EXPECT_TRUE(scope.spawn(wait_and_note(&event, &trace, "a")));
  EXPECT_EQ(trace, Trace());
  EXPECT_EQ(scope.size(), 1U);
  queue.drain();
  EXPECT_EQ(trace, (Trace{"+a", "-a"}));
  EXPECT_EQ(scope.size(), 0U);
}

TEST(Scope, CloseWaitsForAllAndRefusesNew) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  Trace trace;
  std::array<Event, 2> events;
  scope.spawn(wait_and_note(&events[0], &trace, "a"));
  scope.spawn(wait_and_note(&events[1], &trace, "b"));
  RootTask<void> closer(queue, close_scope(&scope));
  queue.drain();
  EXPECT_FALSE(scope.spawn(wait_and_note(&events[0], &trace, "c")));
  events[1].set();
  queue.drain();
  EXPECT_FALSE(closer.done());
  events[0].set();
  queue.drain();
  EXPECT_TRUE(closer.done());
  EXPECT_EQ(trace, (Trace{"+a", "+b", "-b", "-a"}));
}

TEST(Scope, CloseOfAnEmptyScopeEndsAtOnce) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  RootTask<void> closer(queue, close_scope(&scope));
  queue.drain();
  EXPECT_TRUE(closer.done());
}

TEST(Scope, CancelEndsEveryTaskQuietly) {
  ReadyQueue queue;
  std::vector<std::string> errors;
  Scope scope(queue, [&errors](Error error) { errors.push_back(error.message()); });
  Trace trace;
  Event event;
  scope.spawn(wait_and_note(&event, &trace, "a"));
  queue.drain();
  scope.cancel();
  scope.spawn(wait_and_note(&event, &trace, "late"));
  queue.drain();
  EXPECT_EQ(scope.size(), 0U);
  EXPECT_EQ(errors, std::vector<std::string>());
  EXPECT_EQ(trace, (Trace{"+a", "-a", "+late", "-late"}));
}

Task<void> fail_with(std::string sentence) {
  co_await yield();
  co_await fail(Errc::aborted, std::move(sentence));
}

TEST(Scope, ErrorsOfTasksGoToTheHandler) {
  ReadyQueue queue;
  std::vector<std::string> errors;
  Scope scope(queue, [&errors](Error error) { errors.push_back(error.message()); });
  scope.spawn(fail_with("one"));
  scope.spawn(fail_with("two"));
  queue.drain();
  EXPECT_EQ(errors, (std::vector<std::string>{"one", "two"}));
}

TEST(Scope, ACancelledCloseCancelsTheScopeAndStillWaitsForIt) {
  ReadyQueue queue;
  Trace trace;
  Scope scope(queue, nullptr);
  Event event;
  scope.spawn(wait_and_note(&event, &trace, "a"));
  RootTask<void> closer(queue, close_scope(&scope));
  queue.drain();
  closer.cancel();
  EXPECT_FALSE(closer.done());
  queue.drain();
  EXPECT_TRUE(closer.done());
  EXPECT_EQ(trace, (Trace{"+a", "-a"}));
}

Task<void> spawn_from_inside(Scope* scope, int depth, int* ended) {
  if (depth > 0) scope->spawn(spawn_from_inside(scope, depth - 1, ended));
  co_await yield();
  ++*ended;
}

TEST(Scope, ATaskMaySpawnIntoItsOwnScope) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  int ended = 0;
  scope.spawn(spawn_from_inside(&scope, 9, &ended));
  queue.drain();
  EXPECT_EQ(ended, 10);
}

TEST(ScopeDeathTest, DestroyedWithATaskInsideAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        ReadyQueue queue;
        Event event;
        Trace trace;
        Scope scope(queue, nullptr);
        scope.spawn(wait_and_note(&event, &trace, "a"));
        queue.drain();
      },
      "running_ == 0");
}

}  // namespace
}  // namespace berth
