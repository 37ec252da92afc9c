// SPDX-License-Identifier: Apache-2.0
#include "core/ring/sleepers.h"

#include <unistd.h>

#include <utility>

namespace berth {

void Sleepers::until_woken(std::unique_lock<std::mutex>& lock) {
  Sleeper self;
  self.tid = ::gettid();
  self.before = std::exchange(last_, &self);
  while (!self.woken) self.wake.wait(lock);
  if (!self.placed) return;
  // The restriction is for the wake-up only: the thread may work for long, or create threads and
  // processes, which would inherit it.
  lock.unlock();
  static_cast<void>(::sched_setaffinity(0, sizeof self.allowed, &self.allowed));
  lock.lock();
}

bool Sleepers::wake_one() noexcept {
  if (last_ == nullptr) return false;
  Sleeper& sleeper = *last_;
  last_ = sleeper.before;
  place_beside_caller(sleeper);
  sleeper.woken = true;
  sleeper.wake.notify_one();
  return true;
}

void Sleepers::wake_all() noexcept {
  // None of them runs, and so ends, before the mutex is free.
  for (Sleeper* sleeper = last_; sleeper != nullptr; sleeper = sleeper->before) {
    sleeper->woken = true;
    sleeper->wake.notify_one();
  }
  last_ = nullptr;
}

// Does nothing where it is not possible: on one CPU, under a cpuset of one, on a machine with more
// CPUs than a cpu_set_t has bits. Nothing but latency depends on it.
void Sleepers::place_beside_caller(Sleeper& sleeper) noexcept {
  if (::sched_getaffinity(0, sizeof sleeper.allowed, &sleeper.allowed) != 0) return;
  const int here = ::sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return;
  cpu_set_t others = sleeper.allowed;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  sleeper.placed = ::sched_setaffinity(sleeper.tid, sizeof others, &others) == 0;
}

}  // namespace berth
