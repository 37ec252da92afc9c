// SPDX-License-Identifier: Apache-2.0
#include "core/task/scope.h"

#include <utility>

namespace berth {
Scope::Scope(ReadyQueue& queue, OnError on_error) : queue_(queue), on_error_(std::move(on_error)) {}

Scope::~Scope() {
  CHECK(running_ == 0);
}

bool Scope::spawn(Task<void> task) {
  if (closed_) return false;
  Task<void>::Handle handle = std::move(task).release();
  TaskPromise<void>& promise = handle.promise();
  promise.adopt(TaskContext{&queue_, &cancel_}, handle);
  promise.set_owner(*this);
  promise.make_ready();
  ++running_;
  return true;
}

// The frame is still on the stack here; the queue destroys it in the next turn.
void Scope::task_ended(PromiseBase& promise) noexcept {
  promise.set_run(&Scope::reap);
  promise.make_ready();
}

void Scope::reap(ReadyNode& node) noexcept {
  TaskPromise<void>& promise = static_cast<TaskPromise<void>&>(static_cast<PromiseBase&>(node));
  Scope& scope = static_cast<Scope&>(*promise.owner());
  Result<void> outcome = promise.take();
  promise.handle().destroy();
  --scope.running_;
  if (!outcome.ok() && !(outcome.error().is(Errc::cancelled) && scope.cancelled())) {
    if (scope.on_error_) scope.on_error_(std::move(outcome).error());
  }
  if (scope.running_ == 0 && scope.closer_ != nullptr) {
    std::exchange(scope.closer_, nullptr)->wake();
  }
}

Scope::Close Scope::close() noexcept {
  closed_ = true;
  return Close(*this);
}

bool Scope::Close::suspend(PromiseBase& waiter) {
  CHECK(scope_->closer_ == nullptr);
  if (scope_->running_ == 0) return false;
  scope_->closer_ = this;
  park(waiter);
  return true;
}

}  // namespace berth
