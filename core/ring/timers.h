// SPDX-License-Identifier: Apache-2.0
// Timers of one loop: a binary heap in our memory instead of one kernel timeout each. Setting and
// dropping a timer costs no submission, and the loop passes the earliest one as the limit of its
// wait, so a deadline that is met causes no wake-up and an idle loop without timers never wakes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/check.h"
#include "core/task/deadline.h"

namespace berth {

class Timers;

// Base of objects that are called at a point in time. Leaves the heap when destroyed. Stays at one
// address while set.
class Timer {
 public:
  Timer() = default;
  Timer(Timer&& other) noexcept { CHECK(other.timers_ == nullptr); }
  Timer& operator=(Timer&&) = delete;

  void set(Timers& timers, Deadline deadline);  // never: not set at all
  void drop() noexcept;

 protected:
  ~Timer() { drop(); }
  // The timer is already out of the heap. Must not resume anything in place.
  virtual void on_time() noexcept = 0;

 private:
  friend Timers;
  Timers* timers_ = nullptr;
  Deadline deadline_ = Deadline::never();
  std::size_t place_ = 0;
};

class Timers {
 public:
  Timers() = default;
  Timers(const Timers&) = delete;
  ~Timers() { CHECK(heap_.empty()); }

  Deadline earliest() const noexcept {
    return heap_.empty() ? Deadline::never() : heap_.front()->deadline_;
  }
  // Fires what is due.
  void fire(std::int64_t now_ns) noexcept;
  std::size_t size() const noexcept { return heap_.size(); }

 private:
  friend Timer;
  void add(Timer& timer);
  void remove(Timer& timer) noexcept;
  void up(std::size_t place) noexcept;
  void down(std::size_t place) noexcept;
  void put(std::size_t place, Timer* timer) noexcept;

  std::vector<Timer*> heap_;
};

}  // namespace berth
