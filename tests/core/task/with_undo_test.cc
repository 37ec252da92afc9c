// SPDX-License-Identifier: Apache-2.0
// with_undo: success drops the reverses, failure awaits them, the last one first.
#include "core/task/with_undo.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/core/task/loop.h"

namespace berth {
namespace {

Task<void> reverse_slowly(Trace* trace, std::string name) {
  co_await yield();
  trace->push_back("undo " + name);
}

Task<void> reverse_badly(std::string name) {
  co_await yield();
  co_await fail(Errc::internal, "cannot undo " + name);
}

Task<std::string> three_steps(Trace* trace, int fail_at) {
  return with_undo([trace, fail_at](AsyncUndo& undo) -> Task<std::string> {
    for (int step = 0; step < 3; ++step) {
      std::string name(1, static_cast<char>('a' + step));
      if (step == fail_at) co_await fail(Errc::aborted, "step " + name);
      trace->push_back("do " + name);
      undo.push([trace, name]() { return reverse_slowly(trace, name); });
      co_await yield();
    }
    co_return std::string("done");
  });
}

TEST(WithUndo, SuccessCommits) {
  Trace trace;
  Result<std::string> outcome = run_alone(three_steps(&trace, 3));
  EXPECT_EQ(*outcome, "done");
  EXPECT_EQ(trace, (Trace{"do a", "do b", "do c"}));
}

TEST(WithUndo, FailureAwaitsTheReversesLastFirstAtEachStep) {
  const Trace expected[] = {
      {},
      {"do a", "undo a"},
      {"do a", "do b", "undo b", "undo a"},
  };
  for (int fail_at = 0; fail_at < 3; ++fail_at) {
    Trace trace;
    Result<std::string> outcome = run_alone(three_steps(&trace, fail_at));
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().message(), std::string("step ") + static_cast<char>('a' + fail_at));
    EXPECT_EQ(trace, expected[fail_at]);
  }
}

TEST(WithUndo, CancellationUndoesAndTheReversesAreNotCancelled) {
  Trace trace;
  ReadyQueue queue;
  RootTask<std::string> root(queue, three_steps(&trace, 3));
  queue.drain(2);  // after two steps, and ready for the third, which still runs
  root.cancel();
  queue.drain();
  ASSERT_TRUE(root.done());
  EXPECT_EQ(root.take().error().code, Errc::cancelled);
  EXPECT_EQ(trace, (Trace{"do a", "do b", "do c", "undo c", "undo b", "undo a"}));
}

Task<void> failing_reverse(Trace* trace) {
  return with_undo([trace](AsyncUndo& undo) -> Task<void> {
    undo.push([trace]() { return reverse_slowly(trace, "first"); });
    undo.push([]() { return reverse_badly("second"); });
    co_await fail(Errc::not_found, "no image");
  });
}

TEST(WithUndo, AFailingReverseDoesNotStopTheOthersAndIsInTheContext) {
  Trace trace;
  Result<void> outcome = run_alone(failing_reverse(&trace));
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, Errc::not_found);
  EXPECT_EQ(outcome.error().message(), "undoing also failed (cannot undo second): no image");
  EXPECT_EQ(trace, Trace{"undo first"});
}

// A coroutine that is itself the reverse, as a capturing lambda: AsyncUndo keeps it while it runs.
Task<void> lambda_reverse(Trace* trace) {
  return with_undo([trace](AsyncUndo& undo) -> Task<void> {
    undo.push([trace, name = std::string(64, 'n')]() -> Task<void> {
      co_await yield();
      trace->push_back("undo " + name);
    });
    co_await fail(Errc::aborted, "stop");
  });
}

TEST(WithUndo, AReverseMayBeALambdaCoroutineWithCaptures) {
  Trace trace;
  EXPECT_FALSE(run_alone(lambda_reverse(&trace)).ok());
  EXPECT_EQ(trace, Trace{"undo " + std::string(64, 'n')});
}

}  // namespace
}  // namespace berth
