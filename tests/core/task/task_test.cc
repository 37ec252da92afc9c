// SPDX-License-Identifier: Apache-2.0
// Task: values and errors travel up, frames are destroyed once and in order.
#include "core/task/task.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "tests/core/task/loop.h"

namespace berth {
namespace {

Task<int> positive(int number) {
  if (number < 0) co_return sys_error(ERANGE, "positive", std::to_string(number));
  co_return number;
}

Task<int> sum(int a, int b) {
  int left = co_await positive(a);
  int right = co_await positive(b);
  co_return left + right;
}

TEST(Task, GivesTheValueOfTheAwaitedTask) {
  Result<int> total = run_alone(sum(2, 3));
  ASSERT_TRUE(total.ok());
  EXPECT_EQ(*total, 5);
}

TEST(Task, EndsWithTheErrorOfTheAwaitedTask) {
  Result<int> total = run_alone(sum(2, -3));
  ASSERT_FALSE(total.ok());
  EXPECT_EQ(total.error().sys_errno, ERANGE);
  EXPECT_EQ(total.error().message(), "positive `-3`: ERANGE");
}

Task<int> deep(int depth) {
  if (depth == 0) co_return sys_error(ENOENT, "open", "bottom");
  int below = co_await deep(depth - 1);
  co_return below + 1;
}

TEST(Task, AnErrorPassesThroughManyFrames) {
  Result<int> outcome = run_alone(deep(200));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().message(), "open `bottom`: ENOENT");
}

Task<void> note_lifetime(Trace* trace, bool then_fail) {
  Noted outer(*trace, "outer");
  { Noted inner(*trace, "inner"); }
  const int given = then_fail ? -1 : 1;
  int number = co_await positive(given);
  trace->push_back("after " + std::to_string(number));
}

TEST(Task, AnErrorDestroysLocalsInOrder) {
  Trace trace;
  EXPECT_FALSE(run_alone(note_lifetime(&trace, true)).ok());
  EXPECT_EQ(trace, (Trace{"+outer", "+inner", "-inner", "-outer"}));
}

TEST(Task, IsLazy) {
  Trace trace;
  { Task<void> never_awaited = note_lifetime(&trace, false); }
  EXPECT_EQ(trace, Trace());
}

Task<std::string> look_at_errors() {
  Result<int> bad = co_await positive(-1).result();
  Result<int> worse = co_await result(positive(-2));
  Result<int> good = co_await positive(7).result();
  co_return bad.error().subject + worse.error().subject + std::to_string(*good);
}

TEST(Task, ResultLetsTheCallerLook) {
  Result<std::string> text = run_alone(look_at_errors());
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "-1-27");
}

Result<int> parse(bool well) {
  if (!well) return make_error(Errc::invalid_argument, "not a number");
  return 4;
}

Task<int> await_results(bool well) {
  int first = co_await parse(true);
  Result<int> kept = parse(well);
  int second = co_await std::move(kept);
  Status nothing;
  co_await std::move(nothing);
  co_return first + second;
}

TEST(Task, AResultIsAwaitedLikeATask) {
  EXPECT_EQ(*run_alone(await_results(true)), 8);
  EXPECT_EQ(run_alone(await_results(false)).error().message(), "not a number");
}

Task<void> fail_here(Trace* trace) {
  Noted local(*trace, "local");
  co_await fail(Errc::not_found, "no such pod");
  trace->push_back("unreachable");
}

TEST(Task, FailEndsAVoidTask) {
  Trace trace;
  Result<void> outcome = run_alone(fail_here(&trace));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, Errc::not_found);
  EXPECT_EQ(trace, (Trace{"+local", "-local"}));
}

Task<int> throw_foreign(int kind) {
  if (kind == 0) throw std::bad_alloc();
  if (kind == 1) throw std::runtime_error("library says no");
  if (kind == 2) throw 42;
  co_return kind;
}

Task<int> await_foreign(int kind) {
  int answer = co_await throw_foreign(kind);
  co_return answer;
}

TEST(Task, AForeignExceptionBecomesAnInternalError) {
  EXPECT_EQ(run_alone(await_foreign(0)).error().subject, "std::bad_alloc");
  EXPECT_EQ(run_alone(await_foreign(1)).error().message(), "exception `library says no`");
  EXPECT_EQ(run_alone(await_foreign(2)).error().code, Errc::internal);
  EXPECT_EQ(*run_alone(await_foreign(3)), 3);
}

Task<std::unique_ptr<int>> make_owner() {
  co_return std::make_unique<int>(9);
}

Task<int> take_owner(std::unique_ptr<int> parameter) {
  std::unique_ptr<int> owner = co_await make_owner();
  co_return *owner + *parameter;
}

TEST(Task, MoveOnlyValuesPass) {
  EXPECT_EQ(*run_alone(take_owner(std::make_unique<int>(1))), 10);
}

Task<void> wait_under_locals(Event* event, Trace* trace, std::string name, int depth) {
  Noted local(*trace, name + std::to_string(depth));
  if (depth > 0) {
    co_await wait_under_locals(event, trace, name, depth - 1);
  } else {
    co_await event->wait();
  }
  trace->push_back("resumed");
}

TEST(Task, DestroyingASuspendedChainDestroysEveryFrameInnermostFirst) {
  Trace trace;
  Event event;
  ReadyQueue queue;
  {
    RootTask<void> root(queue, wait_under_locals(&event, &trace, "f", 2));
    queue.drain();
    EXPECT_FALSE(root.done());
    EXPECT_EQ(trace, (Trace{"+f2", "+f1", "+f0"}));
  }
  EXPECT_EQ(trace, (Trace{"+f2", "+f1", "+f0", "-f0", "-f1", "-f2"}));
  event.set();  // no coroutine waits any more
  EXPECT_TRUE(queue.empty());
}

TEST(Task, DestroyingAReadyChainTakesItOutOfTheQueue) {
  Trace trace;
  Event event;
  ReadyQueue queue;
  {
    RootTask<void> root(queue, wait_under_locals(&event, &trace, "f", 1));
    queue.drain();
    event.set();
    EXPECT_FALSE(queue.empty());
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(trace, (Trace{"+f1", "+f0", "-f0", "-f1"}));
}

Task<int> count_to(int most) {
  int count = 0;
  for (int i = 0; i < most; ++i) {
    int one = co_await positive(1);
    count += one;
  }
  co_return count;
}

TEST(Task, ALoopOverTasksThatDoNotWaitKeepsTheStackFlat) {
  EXPECT_EQ(*run_alone(count_to(200'000)), 200'000);
}

Task<int> yield_often(int most) {
  int count = 0;
  for (; count < most; ++count) {
    co_await yield();
  }
  co_return count;
}

TEST(Task, ALoopOverSuspensionsKeepsTheStackFlat) {
  ReadyQueue queue;
  RootTask<int> root(queue, yield_often(100'000));
  while (!root.done()) queue.drain();
  EXPECT_EQ(*root.take(), 100'000);
}

}  // namespace
}  // namespace berth
