// SPDX-License-Identifier: Apache-2.0
// Task<T>: a coroutine that gives a T or an Error. Lazy (nothing runs before it is awaited or
// spawned), move-only, awaited once. Single-threaded: it runs where its ring runs.
//
//   Task<Digest> store(Ring& ring, std::string bytes) {
//     // The value, or this task ends with the same error.
//     UniqueFd fd = co_await open_blob(ring, bytes);
//     // The caller looks at the error. A Task<void> ends with it by `co_await fail(error)`.
//     Result<int> wrote = co_await ring.write(fd.get(), bytes).result();
//     if (!wrote.ok()) co_return std::move(wrote).error();
//     // A Result<U> is awaited like a task.
//     Digest digest = co_await parse(bytes);
//     co_return digest;
//   }
//
// A caller's local passed by reference is alive as long as the caller awaits. See docs/hazards for
// what GCC 12 gets wrong and for lambdas: one co_await per statement, parameters by value or owned
// by the awaiter, no capturing lambda as a coroutine unless something keeps the lambda (with_undo,
// spawn).
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "core/base/result.h"
#include "core/task/promise.h"

namespace berth {

template <typename T = void>
class Task;

// `co_await fail(error)` ends the task with the error.
struct [[nodiscard]] Fail {
  Error error;
};
inline Fail fail(Error error) {
  return Fail{std::move(error)};
}
inline Fail fail(Errc code, std::string sentence) {
  return Fail{make_error(code, std::move(sentence))};
}

// `co_await this_task()` gives the TaskContext of the running task.
struct [[nodiscard]] ThisTask {};
inline ThisTask this_task() {
  return {};
}

// A Result awaited: no suspension at all.
template <typename T>
struct ReadyResult {
  Result<T> outcome;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  T await_resume() { return value_or_throw(std::move(outcome)); }
};

struct ReadyContext {
  TaskContext context;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  TaskContext await_resume() const noexcept { return context; }
};

struct FailNow {
  Error error;
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  [[noreturn]] void await_resume() { throw TaskFailure{std::move(error)}; }
};

// The Error of the exception being handled: a TaskFailure's own, or Errc::internal with what() for
// one that a library threw through us.
Error current_exception_error() noexcept;

template <typename T>
class TaskPromiseBase : public PromiseBase {
 public:
  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      return self.promise().ended();
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { outcome_.emplace(current_exception_error()); }
  Result<T> take() { return std::move(*outcome_); }

  template <Awaitable A>
  Unwrapped<A> await_transform(A&& awaitable) {
    static_assert(!std::is_reference_v<A>, "co_await std::move(task): it is consumed");
    return Unwrapped<A>(std::move(awaitable));
  }
  template <Awaitable A>
  AsResult<A> await_transform(AsResult<A>&& awaiter) {
    return std::move(awaiter);
  }
  template <typename U>
  ReadyResult<U> await_transform(Result<U>&& outcome) {
    return {std::move(outcome)};
  }
  FailNow await_transform(Fail&& failure) { return {std::move(failure.error)}; }
  ReadyContext await_transform(ThisTask) { return {context()}; }

 protected:
  std::optional<Result<T>> outcome_;
};

template <typename T>
class TaskPromise : public TaskPromiseBase<T> {
 public:
  Task<T> get_return_object() noexcept;
  // A T, or an Error, or a Result<T>, or what a T is made from.
  void return_value(Result<T> outcome) { this->outcome_.emplace(std::move(outcome)); }
  template <typename U>
  requires(std::convertible_to<U, T> &&
           !std::convertible_to<U, Result<T>>) void return_value(U&& value) {
    this->outcome_.emplace(T(std::forward<U>(value)));
  }
};

template <>
class TaskPromise<void> : public TaskPromiseBase<void> {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() { outcome_.emplace(); }
};

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = TaskPromise<T>;
  using value_type = T;
  using Handle = std::coroutine_handle<promise_type>;

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  // Destroying a suspended task destroys the chain below it. Not while a ring operation of it is in
  // the kernel: cancel, and await the end.
  ~Task() { destroy(); }

  AsResult<Task> result() && { return AsResult<Task>(std::move(*this)); }

  // The awaitable protocol (promise.h). A child that ends without waiting returns here instead of
  // being transferred to, so a loop over such children does not grow the stack in builds where
  // GCC 12 makes no tail call of a symmetric transfer (-O0, sanitizers).
  bool suspend(PromiseBase& awaiting) {
    CHECK(handle_ && !handle_.done());
    promise_type& promise = handle_.promise();
    promise.adopt(awaiting.context(), handle_);
    handle_.resume();
    if (handle_.done()) return false;
    promise.set_continuation(awaiting);
    return true;
  }
  Result<T> resume() { return handle_.promise().take(); }

  // For owners (Scope, roots): they start, take and destroy the frame themselves.
  Handle release() && noexcept { return std::exchange(handle_, {}); }

 private:
  friend promise_type;
  explicit Task(Handle handle) noexcept : handle_(handle) {}
  void destroy() noexcept {
    if (handle_) handle_.destroy();
    handle_ = {};
  }

  Handle handle_;
};

template <typename T>
Task<T> TaskPromise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// `co_await under(context, awaitable)`: a task, or anything else to await, is cancelled by
// `context` instead of the awaiting task's context. The caller owns the context; give it the parent
// it should have.
template <Awaitable A>
class [[nodiscard]] UnderContext {
 public:
  UnderContext(CancelContext& context, A awaitable)
      : context_(&context), awaitable_(std::move(awaitable)) {}
  bool suspend(PromiseBase& awaiting) {
    const Exchanged exchanged(awaiting, context_);
    return awaitable_.suspend(awaiting);
  }
  auto resume() { return awaitable_.resume(); }
  AsResult<UnderContext> result() && { return AsResult<UnderContext>(std::move(*this)); }

 private:
  // The awaiting task has the other context during suspend, where awaitables read it.
  class Exchanged {
   public:
    Exchanged(PromiseBase& task, CancelContext* cancel)
        : task_(task), own_(task.exchange_cancel(cancel)) {}
    Exchanged(const Exchanged&) = delete;
    ~Exchanged() { task_.exchange_cancel(own_); }

   private:
    PromiseBase& task_;
    CancelContext* own_;
  };

  CancelContext* context_;
  A awaitable_;
};
template <Awaitable A>
UnderContext<A> under(CancelContext& context, A awaitable) {
  return UnderContext<A>(context, std::move(awaitable));
}

// `co_await shield(awaitable)`: the wait is not cancelled with the awaiting task; for endings that
// must happen.
template <Awaitable A, typename T = ValueOf<A>>
Task<T> shield(A awaitable) {
  CancelContext never_cancelled;
  Result<T> outcome = co_await under(never_cancelled, std::move(awaitable)).result();
  if constexpr (std::is_void_v<T>) {
    co_await std::move(outcome);
  } else {
    co_return outcome;
  }
}

// `co_await yield()`: lets everything that is ready now run first. Ends the task if it is
// cancelled.
class [[nodiscard]] Yield {
 public:
  bool suspend(PromiseBase& waiter) {
    cancelled_ = waiter.cancelled();
    if (!cancelled_) waiter.make_ready();
    return !cancelled_;
  }
  Result<void> resume() {
    if (cancelled_) return cancelled_error("yield");
    return {};
  }

 private:
  bool cancelled_ = false;
};
inline Yield yield() {
  return {};
}

}  // namespace berth
