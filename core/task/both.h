// SPDX-License-Identifier: Apache-2.0
// both: runs two tasks at once. The first runs until it waits, then the second runs. So pass first
// the task that begins by waiting (offload, a request to another process) and second the task that
// computes.
//
//   std::pair<Result<Fd>, Result<void>> made = co_await both(std::move(mount), std::move(prepare));
#pragma once

#include <optional>
#include <utility>

#include "core/task/scope.h"
#include "core/task/task.h"

namespace berth {

template <typename T>
Task<void> keep_outcome(Task<T> task, std::optional<Result<T>>& into) {
  Result<T> outcome = co_await std::move(task).result();
  into.emplace(std::move(outcome));
}

// Ends when both have ended, also after an error of one. Cancelling it cancels both.
template <typename A, typename B>
Task<std::pair<Result<A>, Result<B>>> both(Task<A> first, Task<B> second) {
  const TaskContext context = co_await this_task();
  std::optional<Result<B>> of_second;
  Scope beside(*context.queue, nullptr);
  beside.spawn(keep_outcome(std::move(second), of_second));
  Result<A> of_first = co_await std::move(first).result();
  co_await beside.close();
  // A spawned task always runs, so the outcome is set, also when it was cancelled before its start.
  std::pair<Result<A>, Result<B>> outcomes(std::move(of_first), std::move(*of_second));
  co_return std::move(outcomes);
}

}  // namespace berth
