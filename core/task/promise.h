// SPDX-License-Identifier: Apache-2.0
// The part of a task's promise that does not depend on its type, and the protocol between a task
// and what it awaits. Code that only writes tasks needs task.h; code that defines a new awaitable
// needs this header.
//
// An awaitable A has
//   bool suspend(PromiseBase& waiter)   starts; false means "already done, do not suspend"
//   Result<U> resume()                  called once, when done
// and stays at one address from suspend to resume. It may move before suspend. It reads
// waiter.context() and waiter.cancelled() in suspend only. When it is done later it calls
// waiter.make_ready(); it never resumes the coroutine itself.
#pragma once

#include <errno.h>

#include <concepts>
#include <coroutine>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "core/task/cancel.h"
#include "core/task/ready_queue.h"

namespace berth {

// What a task inherits from the task or scope that starts it.
struct TaskContext {
  ReadyQueue* queue = nullptr;
  CancelContext* cancel = nullptr;
};

class PromiseBase;

// The owner of a task that no task awaits: a Scope or a root. It is told when the task has ended.
class TaskOwner {
 public:
  // The frame is at its final suspend point. Must not destroy it before returning.
  virtual void task_ended(PromiseBase& promise) noexcept = 0;

 protected:
  ~TaskOwner() = default;
};

class PromiseBase : public ReadyNode {
 public:
  PromiseBase() noexcept : ReadyNode(&PromiseBase::resume_self) {}

  const TaskContext& context() const noexcept { return context_; }
  bool cancelled() const noexcept { return context_.cancel->cancelled(); }
  void make_ready() noexcept { context_.queue->push(*this); }

  // Used by Task, Scope and roots only.
  void adopt(const TaskContext& context, std::coroutine_handle<> self) noexcept {
    context_ = context;
    self_ = self;
  }
  CancelContext* exchange_cancel(CancelContext* cancel) noexcept {
    return std::exchange(context_.cancel, cancel);
  }
  void set_continuation(PromiseBase& awaiting) noexcept { continuation_ = &awaiting; }
  void set_owner(TaskOwner& owner) noexcept { owner_ = &owner; }
  TaskOwner* owner() const noexcept { return owner_; }
  std::coroutine_handle<> handle() const noexcept { return self_; }
  using ReadyNode::set_run;
  // Where control goes when the task has ended.
  std::coroutine_handle<> ended() noexcept {
    if (owner_ != nullptr) owner_->task_ended(*this);
    if (continuation_ != nullptr) return continuation_->self_;
    return std::noop_coroutine();
  }

 private:
  static void resume_self(ReadyNode& node) noexcept {
    static_cast<PromiseBase&>(node).self_.resume();
  }

  TaskContext context_;
  std::coroutine_handle<> self_;
  PromiseBase* continuation_ = nullptr;
  TaskOwner* owner_ = nullptr;
};

template <typename A>
concept Awaitable = requires(A& awaitable, PromiseBase& waiter) {
  { awaitable.suspend(waiter) } -> std::same_as<bool>;
  { awaitable.resume().ok() } -> std::same_as<bool>;
};

// The T of `T value = co_await awaitable`.
template <Awaitable A>
using ValueOf = typename decltype(std::declval<A&>().resume())::value_type;

// Carries an error from await_resume to unhandled_exception. Nothing outside core/task names it.
struct TaskFailure {
  Error error;
};

template <typename T>
T value_or_throw(Result<T>&& result) {
  if (!result.ok()) throw TaskFailure{std::move(result).error()};
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// `co_await a.result()`: the awaiting task looks at the Result itself.
template <typename A>
class AsResult {
 public:
  explicit AsResult(A awaitable) : awaitable_(std::move(awaitable)) {}
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    return awaitable_.suspend(waiter.promise());
  }
  auto await_resume() { return awaitable_.resume(); }

 private:
  A awaitable_;
};

// `co_await a`: the value, or the awaiting task ends with the same Error.
template <typename A>
class Unwrapped {
 public:
  explicit Unwrapped(A awaitable) : awaitable_(std::move(awaitable)) {}
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> waiter) {
    return awaitable_.suspend(waiter.promise());
  }
  auto await_resume() { return value_or_throw(awaitable_.resume()); }

 private:
  A awaitable_;
};

// result(f()) is f().result() for awaitables that lack the member.
template <Awaitable A>
[[nodiscard]] AsResult<A> result(A awaitable) {
  return AsResult<A>(std::move(awaitable));
}

// Base of awaitables that wait for something outside their task. park() before suspending, wake()
// when done; a cancellation in between calls on_cancel.
class Leaf : public CancelHook {
 protected:
  Leaf() = default;
  Leaf(Leaf&&) = default;
  ~Leaf() = default;

  void park(PromiseBase& waiter) noexcept {
    waiter_ = &waiter;
    waiter.context().cancel->add(*this);
  }
  void wake() noexcept {
    CancelHook::unlink();
    waiter_->make_ready();
  }

 private:
  PromiseBase* waiter_ = nullptr;
};

inline Error cancelled_error(std::string_view op, std::string subject = {}) {
  return sys_error(ECANCELED, op, std::move(subject));
}

}  // namespace berth
