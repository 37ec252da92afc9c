// SPDX-License-Identifier: Apache-2.0
#include "core/linux/short_slice.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace berth::sys {
namespace {

// struct sched_attr of linux/sched/types.h, which cannot be included beside sched.h.
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

constexpr uint64_t kResetOnFork = 0x01;  // SCHED_FLAG_RESET_ON_FORK
constexpr uint64_t kSliceNs = 100'000;   // the kernel's minimum

}  // namespace

// KERNEL 6.18: children inherit the requested slice unless the thread has SCHED_FLAG_RESET_ON_FORK,
// which also resets a negative nice value in them. Proof: tests/core/linux/short_slice_test.cc.
void ask_for_short_slices() noexcept {
  SchedAttr attr{};
  if (::syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0) return;
  if (attr.policy != SCHED_OTHER || attr.nice < 0) return;
  attr.size = sizeof attr;
  attr.flags = kResetOnFork;
  attr.runtime_ns = kSliceNs;
  ::syscall(SYS_sched_setattr, 0, &attr, 0);
}

}  // namespace berth::sys
