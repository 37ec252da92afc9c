// SPDX-License-Identifier: Apache-2.0
// clone3(2), Linux 5.3; CLONE_INTO_CGROUP 5.7. glibc 2.36 has no wrapper. As after fork(2), the
// child runs on a copy of the caller's stack; `flags` determines what it shares. If the caller has
// other threads, the child must not allocate or take a lock.
#pragma once

#include <linux/sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace berth::sys {

struct Clone3 {
  std::uint64_t flags = 0;
  int* pidfd = nullptr;         // with CLONE_PIDFD
  pid_t* parent_tid = nullptr;  // with CLONE_PARENT_SETTID; written before the child runs
  int exit_signal = 0;          // must be 0 with CLONE_PARENT
  int cgroup_fd = -1;           // with CLONE_INTO_CGROUP: a cgroup v2 directory
};

// Returns the child's pid in the parent and 0 in the child; -1 and errno on failure.
inline pid_t clone3(const Clone3& request) noexcept {
  clone_args args{};
  args.flags = request.flags;
  args.pidfd = reinterpret_cast<std::uintptr_t>(request.pidfd);
  args.parent_tid = reinterpret_cast<std::uintptr_t>(request.parent_tid);
  args.exit_signal = static_cast<std::uint64_t>(request.exit_signal);
  if (request.cgroup_fd >= 0) args.cgroup = static_cast<std::uint64_t>(request.cgroup_fd);
  return static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
}

}  // namespace berth::sys
