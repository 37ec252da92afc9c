// SPDX-License-Identifier: Apache-2.0
// The idle threads of a pool: the one that fell asleep last is woken first, and it wakes on another
// CPU than its waker's, so that both run at once.
//
// KERNEL 6.18: a wake-up searches for an idle CPU only within a cost limit of the scheduler, on a
// machine with few CPUs often not at all, and then the woken thread waits behind its waker or
// takes its CPU while another CPU is idle. With two CPUs that was nine wake-ups of ten for a thread
// that ran on its waker's CPU last (docs/decisions/0010). Proof: tests/core/ring/sleepers_test.cc.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <condition_variable>
#include <mutex>

namespace berth {

// All calls are made under one mutex, the pool's.
class Sleepers {
 public:
  Sleepers() = default;
  Sleepers(const Sleepers&) = delete;

  // The calling thread sleeps, without a time limit, until it is woken; then it may run where its
  // waker may. `lock` holds the mutex, which is free meanwhile.
  void until_woken(std::unique_lock<std::mutex>& lock);
  // False: no thread sleeps.
  bool wake_one() noexcept;
  void wake_all() noexcept;

 private:
  // Lives on its thread's stack: falling asleep needs no memory.
  struct Sleeper {
    std::condition_variable wake;
    Sleeper* before = nullptr;  // the one that fell asleep before it
    pid_t tid = 0;
    bool woken = false;
    bool placed = false;
    cpu_set_t allowed{};  // its waker's CPUs, when it was placed on another one
  };

  static void place_beside_caller(Sleeper& sleeper) noexcept;

  Sleeper* last_ = nullptr;  // the one that fell asleep last
};

}  // namespace berth
