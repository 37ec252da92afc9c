// SPDX-License-Identifier: Apache-2.0
// Making the process of a launch plan. For the keeper: allocates nothing, throws nothing, never
// waits for the child. The caller becomes the parent of the process, whatever namespaces it joins,
// and must wait for children by pidfd only (never for "any child"): a pid that a report names is
// then the keeper's to open.
//
// What the child expects of the caller's own place: a mount namespace that nothing mounts into.
// With `bare_root` the way into the container is shorter, see there.
#pragma once

#include <sys/types.h>

#include <span>

#include "core/container/plan_view.h"

namespace berth::container {

struct SpawnRequest {
  const PlanView* plan = nullptr;
  std::span<const int> fds{};  // as many as the plan counts; all above 2; borrowed
  // Become 0, 1 and 2 of the process; above 2; borrowed. With a terminal all three are -1.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  // Written by the kernel with the pid of the process before it runs, in the caller's PID
  // namespace. For a joined PID namespace it is a helper that makes the process, so this must then
  // be in shared memory to be seen.
  pid_t* parent_tid = nullptr;
  // An empty directory on a read-only mount of the caller's mount namespace, cloned over masked
  // directories (one mount less to make for each container); nullptr: a small tmpfs is made.
  const char* empty_dir = nullptr;
  // A directory of a procfs of the caller's PID namespace, for oom_score_adj and sysctls; borrowed.
  // -1: /proc is tried, then a private one is mounted each time.
  int proc_fd = -1;
  // The caller's mount namespace is one mount: an empty, read-only tmpfs, with nothing mounted
  // below it. Then the container's root is moved over it and the process changes its root, as a
  // machine does that leaves its initramfs, and the tmpfs stays beneath, unreachable by any path.
  // That leaves out pivot_root and umount, which wait for an RCU grace period and visit every
  // process of the machine. A privileged container can dig it out again: it must be as empty as
  // promised.
  bool bare_root = false;
  // No signal is ignored in the caller, so that the clone alone makes all of them default.
  bool ignores_nothing = false;
};

struct SpawnResult {
  pid_t pid = -1;       // of the process, or of the helper when `helper`
  int pidfd = -1;       // of `pid`; owned by the caller from here on
  int channel = -1;     // reports (report.h), non-blocking, close-on-exec; owned by the caller
  bool helper = false;  // a `created` report will name the process itself
};

// 0, or the errno of what failed before there was a child (EINVAL: the request contradicts the
// plan). From then on everything is told by reports and by the exit of the process.
int spawn(const SpawnRequest& request, SpawnResult* result) noexcept;

}  // namespace berth::container
