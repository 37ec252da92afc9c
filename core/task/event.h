// SPDX-License-Identifier: Apache-2.0
// Event and Mutex for tasks of one loop. Not thread-safe: another thread uses Ring::post.
// A waiter is a list element in its own coroutine frame, without allocation; cancelling removes it.
#pragma once

#include <utility>

#include "core/task/task.h"

namespace berth {

struct WaitNode : Link {};

// A flag that tasks wait for. set() makes all waiters ready and later waits end at once, until
// reset(). Destroying an event that is waited for is a bug and aborts.
class Event {
 public:
  class Wait;

  bool is_set() const noexcept { return set_; }
  void set() noexcept;
  void reset() noexcept { set_ = false; }
  // `co_await event.wait()`. Fails only with Errc::cancelled. The flag may have been reset again by
  // the time the waiter runs: check the state that it signals.
  Wait wait() noexcept;

 private:
  List<WaitNode> waiters_;
  bool set_ = false;
};

class [[nodiscard]] Event::Wait final : public Leaf, public WaitNode {
 public:
  explicit Wait(Event& event) noexcept : event_(&event) {}
  Wait(Wait&&) = default;
  bool suspend(PromiseBase& waiter);
  Result<void> resume();
  AsResult<Wait> result() && { return AsResult<Wait>(std::move(*this)); }
  void on_cancel() noexcept override;

 private:
  friend Event;
  Event* event_;
  bool cancelled_ = false;
};

// Serialises work, first come, first served: unlocking hands the lock to the longest waiter, so a
// task that unlocks and locks again goes to the end of the line.
class Mutex {
 public:
  class Guard;
  class Lock;

  Mutex() = default;
  Mutex(const Mutex&) = delete;
  ~Mutex() { CHECK(!locked_); }

  bool locked() const noexcept { return locked_; }
  // `Mutex::Guard guard = co_await mutex.lock();` Fails only with Errc::cancelled.
  Lock lock() noexcept;

 private:
  void unlock() noexcept;

  List<WaitNode> waiters_;
  bool locked_ = false;
};

// Holds the lock until destroyed.
class [[nodiscard]] Mutex::Guard {
 public:
  Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  Guard& operator=(Guard&&) = delete;
  ~Guard() {
    if (mutex_ != nullptr) mutex_->unlock();
  }

 private:
  friend Lock;
  explicit Guard(Mutex& mutex) noexcept : mutex_(&mutex) {}
  Mutex* mutex_;
};

class [[nodiscard]] Mutex::Lock final : public Leaf, public WaitNode {
 public:
  explicit Lock(Mutex& mutex) noexcept : mutex_(&mutex) {}
  Lock(Lock&&) = default;
  ~Lock();
  bool suspend(PromiseBase& waiter);
  Result<Guard> resume();
  AsResult<Lock> result() && { return AsResult<Lock>(std::move(*this)); }
  void on_cancel() noexcept override;

 private:
  friend Mutex;
  Mutex* mutex_;
  bool granted_ = false;
};

}  // namespace berth
