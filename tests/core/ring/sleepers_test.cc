// SPDX-License-Identifier: Apache-2.0
// The CPU on which a thread of a pool wakes, on the running kernel's scheduler.
#include "core/ring/sleepers.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace berth {
namespace {

cpu_set_t allowed_here() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  EXPECT_EQ(::sched_getaffinity(0, sizeof cpus, &cpus), 0);
  return cpus;
}

// Moves the calling thread to this CPU; the CPUs on which it may run stay the same.
void move_to(int cpu) {
  const cpu_set_t mine = allowed_here();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(cpu), &one);
  EXPECT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(::sched_setaffinity(0, sizeof mine, &mine), 0);
}

// A thread that reports the CPU on which it woke.
class Worker {
 public:
  Worker() : thread_([this] { work(); }) { wait_for(1); }
  ~Worker() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      ending_ = true;
      sleepers_.wake_all();
    }
    thread_.join();
  }

  // The caller does not sleep meanwhile, so its CPU is busy.
  void wake() {
    const int asleep = times_asleep_;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      EXPECT_TRUE(sleepers_.wake_one());
    }
    wait_for(asleep + 1);
  }
  int woke_on() const { return woke_on_; }
  cpu_set_t allowed() const { return allowed_; }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!ending_) {
      ++times_asleep_;
      sleepers_.until_woken(lock);
      woke_on_ = ::sched_getcpu();
      allowed_ = allowed_here();
    }
  }
  // Once the mutex is free again, the thread sleeps.
  void wait_for(int times) const {
    while (times_asleep_ < times) continue;
  }

  std::mutex mutex_;
  Sleepers sleepers_;
  std::atomic<int> times_asleep_{0};
  bool ending_ = false;
  std::atomic<int> woke_on_{-1};
  cpu_set_t allowed_{};
  std::thread thread_;
};

TEST(Sleepers, AWokenThreadRunsOnAnotherCpuThanItsWakerAndMayThenRunAnywhere) {
  constexpr int kTimes = 200;
  const cpu_set_t mine = allowed_here();
  Worker worker;
  worker.wake();
  int beside = 0;
  for (int i = 0; i < kTimes; ++i) {
    // The thread last ran on this CPU, so without help it would wake here and wait for the waker.
    move_to(worker.woke_on());
    const int before = ::sched_getcpu();
    worker.wake();
    // If the waker was moved meanwhile, the CPU of the worker proves nothing.
    const int after = ::sched_getcpu();
    beside += worker.woke_on() != before || after != before ? 1 : 0;
    const cpu_set_t its = worker.allowed();
    ASSERT_TRUE(CPU_EQUAL(&its, &mine)) << "the restriction outlived the wake-up";
  }
  if (CPU_COUNT(&mine) > 1) {
    EXPECT_GE(beside, kTimes * 9 / 10);
  }
}

TEST(Sleepers, AThreadWakesEvenIfItsWakerMayUseOneCpuOnly) {
  const cpu_set_t mine = allowed_here();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  Worker worker;
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  worker.wake();
  EXPECT_EQ(::sched_setaffinity(0, sizeof mine, &mine), 0);
  EXPECT_GE(worker.woke_on(), 0);
}

TEST(Sleepers, WakingWithoutASleeperDoesNothing) {
  Sleepers sleepers;
  EXPECT_FALSE(sleepers.wake_one());
  sleepers.wake_all();
}

}  // namespace
}  // namespace berth
