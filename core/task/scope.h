// SPDX-License-Identifier: Apache-2.0
// Scope: the only way to start a task that no other task awaits. Its owner closes it and awaits the
// close before dying; destroying a scope with tasks in it is a bug and aborts.
//
//   Scope scope(ring.ready(), [&](Error error) { log.warn("pull", error.message()); });
//   scope.spawn(fetch(ring, digest));
//   ...
//   scope.cancel();                  // optional: ask them to end
//   co_await scope.close();          // waits for all, refuses new
#pragma once

#include <cstddef>
#include <functional>

#include "core/task/task.h"

namespace berth {

class Scope final : private TaskOwner {
 public:
  // Receives the errors of spawned tasks, but no Errc::cancelled once the scope was cancelled.
  using OnError = std::function<void(Error)>;

  Scope(ReadyQueue& queue, OnError on_error);
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  // The task starts when the loop next drains its queue, never inside spawn. False when the scope
  // is closed: the task is then destroyed unstarted. Allocates nothing.
  bool spawn(Task<void> task);

  // Asks every task to end. Tasks spawned later are cancelled from their start.
  void cancel() noexcept { cancel_.cancel(); }
  bool cancelled() const noexcept { return cancel_.cancelled(); }
  std::size_t size() const noexcept { return running_; }

  class Close;
  // `co_await scope.close()`: from now on spawn refuses; ends when the last task has ended. If the
  // awaiting task is cancelled meanwhile, the scope is cancelled and still waited for. Never fails.
  Close close() noexcept;

 private:
  void task_ended(PromiseBase& promise) noexcept override;
  static void reap(ReadyNode& node) noexcept;

  ReadyQueue& queue_;
  OnError on_error_;
  CancelContext cancel_;
  std::size_t running_ = 0;
  bool closed_ = false;
  Close* closer_ = nullptr;
};

class [[nodiscard]] Scope::Close final : public Leaf {
 public:
  explicit Close(Scope& scope) noexcept : scope_(&scope) {}
  Close(Close&&) = default;
  bool suspend(PromiseBase& waiter);
  Result<void> resume() noexcept { return {}; }
  void on_cancel() noexcept override { scope_->cancel(); }

 private:
  friend Scope;
  Scope* scope_;
};

}  // namespace berth
