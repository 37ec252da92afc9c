// SPDX-License-Identifier: Apache-2.0
// Waiting costs no memory: operations, timers, deadlines, events and locks live in coroutine
// frames. This program counts every allocation.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "core/ring/offload.h"
#include "core/task/event.h"
#include "tests/core/ring/fixture.h"
#include "tests/core/ring/nop.h"

namespace {

// The replaced operators report through this global. Every thread allocates.
std::atomic<unsigned long> allocations = 0;

}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace berth {
namespace {

constexpr int kRounds = 1000;

Task<unsigned long> allocations_of_operations(Ring& ring, Pair& pipe) {
  std::array<char, 8> buffer;
  co_await ring.sleep_until(Deadline::after_ms(1));  // the heap of timers has grown to one
  const unsigned long before = allocations;
  for (int i = 0; i < kRounds; ++i) {
    co_await ring.write(pipe.write.get(), "12345678");
    int n = co_await ring.read(pipe.read.get(), buffer);
    EXPECT_EQ(n, 8);
    co_await nop(ring);
    co_await ring.sleep_until(Deadline::after_ns(1000));
    co_await yield();
  }
  co_return allocations - before;
}

TEST(Allocation, RingOperationsAllocateNothing) {
  std::unique_ptr<Ring> ring = MUST(Ring::create());
  Pair pipe = make_pipe();
  EXPECT_EQ(*ring->run_until(allocations_of_operations(*ring, pipe)), 0U);
}

Task<unsigned long> allocations_of_offload(Ring& ring) {
  int result = 0;
  auto work = [&result]() -> Result<int> { return ++result; };
  co_await offload(ring, work);  // makes the pool and its thread
  const unsigned long before = allocations;
  for (int i = 0; i < 10; ++i) {
    co_await offload(ring, work);
  }
  co_return allocations - before;
}

TEST(Allocation, OffloadAllocatesNothingOnceItsThreadIsThere) {
  std::unique_ptr<Ring> ring = MUST(Ring::create(Ring::Options{.offload_threads = 1}));
  EXPECT_EQ(*ring->run_until(allocations_of_offload(*ring)), 0U);
}

Task<void> lock_often(Mutex* mutex, int* entered) {
  for (int i = 0; i < kRounds; ++i) {
    Mutex::Guard guard = co_await mutex->lock();
    ++*entered;
    co_await yield();
  }
}

TEST(Allocation, LocksAndScopesAllocateOnlyTheFramesOfTheirTasks) {
  ReadyQueue queue;
  Scope scope(queue, nullptr);
  Mutex mutex;
  int entered = 0;
  const unsigned long before = allocations;
  for (int i = 0; i < 4; ++i) scope.spawn(lock_often(&mutex, &entered));
  while (queue.drain() > 0) {
  }
  EXPECT_EQ(entered, 4 * kRounds);
  EXPECT_EQ(allocations - before, 4U);
}

}  // namespace
}  // namespace berth
