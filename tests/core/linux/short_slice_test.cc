// SPDX-License-Identifier: Apache-2.0
#include "core/linux/short_slice.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <thread>

namespace berth::sys {
namespace {

struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;
  uint64_t deadline_ns;
  uint64_t period_ns;
};

// The settings of the calling thread.
SchedAttr scheduling() {
  SchedAttr attr{};
  EXPECT_EQ(::syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0), 0);
  return attr;
}

// 0 if the kernel has no slices for ordinary threads.
uint64_t slice_ns() {
  return scheduling().runtime_ns;
}

bool kernel_has_slices() {
  utsname name{};
  int major = 0;
  int minor = 0;
  ::uname(&name);
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return major > 6 || (major == 6 && minor >= 12);
}

TEST(ShortSlice, AppliesToTheCallingThreadAndToNoChild) {
  const uint64_t usual = slice_ns();
  uint64_t asked = 0;
  uint64_t of_thread = 0;
  int of_child = -1;
  std::thread asker([&]() {
    ask_for_short_slices();
    asked = slice_ns();
    std::thread([&]() { of_thread = slice_ns(); }).join();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(slice_ns() == usual ? 0 : 1);
    ::waitpid(child, &of_child, 0);
  });
  asker.join();
  if (kernel_has_slices()) {
    EXPECT_EQ(asked, 100'000u);
  } else {
    EXPECT_EQ(asked, usual);
  }
  EXPECT_EQ(of_thread, usual);
  EXPECT_EQ(of_child, 0);
  EXPECT_EQ(slice_ns(), usual);
}

// The settings of a new thread before and after it asks for short slices, and those of a process
// that it starts. A new thread, because its settings end with it.
struct Seen {
  SchedAttr before, own, of_child;
  bool set = false;
};

Seen asked_with(uint32_t policy, int32_t nice, uint32_t priority = 0) {
  Seen seen{};
  std::thread([&]() {
    SchedAttr wanted{};
    wanted.size = sizeof wanted;
    wanted.policy = policy;
    wanted.nice = nice;
    wanted.priority = priority;
    seen.set = ::syscall(SYS_sched_setattr, 0, &wanted, 0) == 0;
    seen.before = scheduling();
    ask_for_short_slices();
    seen.own = scheduling();
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) return;
    const pid_t child = ::fork();
    if (child == 0) {
      const SchedAttr attr = scheduling();
      ::_exit(::write(ends[1], &attr, sizeof attr) == sizeof attr ? 0 : 1);
    }
    EXPECT_EQ(::read(ends[0], &seen.of_child, sizeof seen.of_child),
              static_cast<ssize_t>(sizeof seen.of_child));
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
  }).join();
  return seen;
}

void expect_untouched(const Seen& seen) {
  EXPECT_EQ(seen.own.policy, seen.before.policy);
  EXPECT_EQ(seen.own.nice, seen.before.nice);
  EXPECT_EQ(seen.own.priority, seen.before.priority);
  EXPECT_EQ(seen.own.runtime_ns, seen.before.runtime_ns);
  EXPECT_EQ(seen.of_child.policy, seen.before.policy);
  EXPECT_EQ(seen.of_child.nice, seen.before.nice);
  EXPECT_EQ(seen.of_child.priority, seen.before.priority);
}

TEST(ShortSlice, ALowPriorityStaysAndIsInheritedAndTheSliceIsNot) {
  const Seen seen = asked_with(SCHED_OTHER, 7);
  ASSERT_TRUE(seen.set);
  EXPECT_EQ(seen.own.nice, 7);
  EXPECT_EQ(seen.of_child.nice, 7);
  EXPECT_EQ(seen.of_child.runtime_ns, slice_ns());
  if (kernel_has_slices()) {
    EXPECT_EQ(seen.own.runtime_ns, 100'000u);
  }
}

TEST(ShortSlice, AHighPriorityThatAnOperatorGaveStaysAndIsInherited) {
  const Seen seen = asked_with(SCHED_OTHER, -7);
  if (!seen.set) GTEST_SKIP() << "may not raise a priority (CAP_SYS_NICE)";
  expect_untouched(seen);
  EXPECT_EQ(seen.of_child.nice, -7);
  EXPECT_EQ(seen.of_child.runtime_ns, slice_ns());
}

TEST(ShortSlice, AnotherPolicyStays) {
  for (const uint32_t policy : {SCHED_BATCH, SCHED_IDLE}) {
    const Seen seen = asked_with(policy, 3);
    ASSERT_TRUE(seen.set);
    EXPECT_EQ(seen.own.policy, policy);
    expect_untouched(seen);
  }
}

TEST(ShortSlice, ARealTimePolicyStays) {
  const Seen seen = asked_with(SCHED_FIFO, 0, 5);
  if (!seen.set) GTEST_SKIP() << "no CAP_SYS_NICE, or a cgroup without real-time bandwidth";
  EXPECT_EQ(seen.own.policy, static_cast<uint32_t>(SCHED_FIFO));
  expect_untouched(seen);
}

}  // namespace
}  // namespace berth::sys
