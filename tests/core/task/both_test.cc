// SPDX-License-Identifier: Apache-2.0
#include "core/task/both.h"

#include <gtest/gtest.h>

#include <string>

#include "core/task/event.h"
#include "tests/core/task/loop.h"

namespace berth {
namespace {

Task<int> wait_then(Event& event, int value, std::string& trace) {
  trace += "w";
  co_await event.wait();
  trace += "W";
  if (value < 0) co_await fail(Errc::not_found, "negative");
  co_return value;
}

Task<std::string> set_then(Event& event, std::string value, std::string& trace) {
  trace += "s";
  event.set();
  if (value.empty()) co_await fail(Errc::aborted, "empty");
  co_return value;
}

Task<std::string> pair_up(int number, std::string text, std::string& trace) {
  Event event;
  Task<int> first = wait_then(event, number, trace);
  Task<std::string> second = set_then(event, std::move(text), trace);
  auto outcomes = co_await both(std::move(first), std::move(second));
  auto& [a, b] = outcomes;
  trace += a.ok() ? "+" : "-";
  trace += b.ok() ? "+" : "-";
  const int left = co_await std::move(a);
  const std::string right = co_await std::move(b);
  co_return std::to_string(left) + right;
}

TEST(Both, TheSecondRunsWhileTheFirstWaits) {
  std::string trace;
  Result<std::string> outcome = run_alone(pair_up(7, "x", trace));
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(*outcome, "7x");
  EXPECT_EQ(trace, "wsW++");
}

TEST(Both, AnErrorOfEitherLetsTheOtherEnd) {
  std::string trace;
  Result<std::string> outcome = run_alone(pair_up(-1, "x", trace));
  ASSERT_FALSE(outcome.ok());
  EXPECT_TRUE(outcome.error().is(Errc::not_found));
  EXPECT_EQ(trace, "wsW-+");
  trace.clear();
  outcome = run_alone(pair_up(1, "", trace));
  ASSERT_FALSE(outcome.ok());
  EXPECT_TRUE(outcome.error().is(Errc::aborted));
  EXPECT_EQ(trace, "wsW+-");
}

Task<int> wait_for_ever(Event& never, int& cancelled) {
  Result<void> waited = co_await never.wait().result();
  if (!waited.ok() && waited.error().is(Errc::cancelled)) ++cancelled;
  co_await std::move(waited);
  co_return 0;
}

Task<void> both_for_ever(Event& never, int& cancelled) {
  Task<int> first = wait_for_ever(never, cancelled);
  Task<int> second = wait_for_ever(never, cancelled);
  auto outcomes = co_await both(std::move(first), std::move(second));
  auto& [a, b] = outcomes;
  co_await std::move(a);
  co_await std::move(b);
}

Task<void> cancel_both(int& cancelled) {
  Event never;
  const TaskContext context = co_await this_task();
  Scope scope(*context.queue, nullptr);
  scope.spawn(both_for_ever(never, cancelled));
  co_await yield();
  co_await yield();
  scope.cancel();
  co_await scope.close();
}

TEST(Both, CancellingReachesBoth) {
  int cancelled = 0;
  EXPECT_TRUE(run_alone(cancel_both(cancelled)).ok());
  EXPECT_EQ(cancelled, 2);
}

}  // namespace
}  // namespace berth
