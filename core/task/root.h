// SPDX-License-Identifier: Apache-2.0
// RootTask: runs one task from outside any coroutine: main, a gRPC request, a test. The owner
// drains the queue until done() and takes the result.
#pragma once

#include <utility>

#include "core/task/task.h"

namespace berth {

template <typename T>
class RootTask final : private TaskOwner {
 public:
  // Makes the task ready; it runs when the queue is drained.
  RootTask(ReadyQueue& queue, Task<T> task) : handle_(std::move(task).release()) {
    handle_.promise().adopt(TaskContext{&queue, &cancel_}, handle_);
    handle_.promise().set_owner(*this);
    handle_.promise().make_ready();
  }
  RootTask(const RootTask&) = delete;
  RootTask& operator=(const RootTask&) = delete;
  ~RootTask() { handle_.destroy(); }

  bool done() const noexcept { return done_; }
  void cancel() noexcept { cancel_.cancel(); }
  Result<T> take() {
    CHECK(done_);
    return handle_.promise().take();
  }

 private:
  void task_ended(PromiseBase&) noexcept override { done_ = true; }

  CancelContext cancel_;
  typename Task<T>::Handle handle_;
  bool done_ = false;
};

}  // namespace berth
