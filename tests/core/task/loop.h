// SPDX-License-Identifier: Apache-2.0
// A loop without a kernel: runs coroutines until none is ready.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/task/event.h"
#include "core/task/root.h"
#include "core/task/scope.h"
#include "core/task/task.h"

namespace berth {

// Runs a task that waits for nothing outside to its end.
template <typename T>
Result<T> run_alone(Task<T> task) {
  ReadyQueue queue;
  RootTask<T> root(queue, std::move(task));
  queue.drain();
  CHECK(root.done());
  return root.take();
}

using Trace = std::vector<std::string>;

// Records its construction and its destruction.
class Noted {
 public:
  Noted(Trace& trace, std::string name) : trace_(&trace), name_(std::move(name)) {
    trace_->push_back("+" + name_);
  }
  Noted(Noted&& other) noexcept
      : trace_(std::exchange(other.trace_, nullptr)), name_(std::move(other.name_)) {}
  Noted& operator=(Noted&&) = delete;
  ~Noted() {
    if (trace_ != nullptr) trace_->push_back("-" + name_);
  }

 private:
  Trace* trace_;
  std::string name_;
};

}  // namespace berth
