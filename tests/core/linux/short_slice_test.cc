// SPDX-License-Identifier: Apache-2.0
#include "core/linux/short_slice.h"

#include <gtest/gtest.h>
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

// What the kernel says of the calling thread; 0 where it knows no slices of ordinary threads.
uint64_t slice_ns() {
  SchedAttr attr{};
  attr.size = sizeof attr;
  return ::syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) == 0 ? attr.runtime_ns : 0;
}

bool kernel_has_slices() {
  utsname name{};
  int major = 0;
  int minor = 0;
  ::uname(&name);
  std::sscanf(name.release, "%d.%d", &major, &minor);
  return major > 6 || (major == 6 && minor >= 12);
}

TEST(ShortSlice, IsOfTheThreadThatAsksAndOfNoChild) {
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

}  // namespace
}  // namespace berth::sys
