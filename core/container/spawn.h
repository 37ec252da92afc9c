// SPDX-License-Identifier: Apache-2.0
// Making the process of a launch plan. For the keeper: allocates nothing, throws nothing, never
// waits for the child. The caller becomes the parent of the process, whatever namespaces it joins,
// and must wait for children by pidfd only (never for "any child"): a pid that a report names is
// then the keeper's to open.
//
// Whatever belongs to the caller is gone from the process before it touches a path of the
// container: descriptors, the procfs, cgroup files and the memory named in `shared`. A process
// that is to live in a PID namespace with others (an exec, a pod with a shared PID namespace) is
// furnished by a stage process outside of that namespace. The stage drops descriptors, identity
// and capabilities first and clones the process last, so that its neighbours never see more of it
// than standard streams and the report channel. The stage is in the container's cgroup, so such a
// launch needs room for two tasks below pids.max.
//
// What the child expects of the caller's own place: a mount namespace that nothing mounts into.
// With `bare_root` the way into the container is shorter, see there. The caller's program should
// be on a mount that is read-only and noexec by now (core/keeper/program.h): until its exec the
// process can name that file as /proc/self/exe.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>

#include "core/container/plan_view.h"

namespace berth::container {

struct SpawnRequest {
  const PlanView* plan = nullptr;
  std::span<const int> fds{};  // as many as the plan counts; all above 2; borrowed
  // Become 0, 1 and 2 of the process; above 2; borrowed. -1: the /dev/null of the container. With
  // a terminal all three are -1.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  // Written by the kernel with the pid of the process before it runs, in the caller's PID
  // namespace. Where a stage process makes the process, this is written twice, the stage's pid
  // first, and must be in shared memory for the second to be seen.
  pid_t* parent_tid = nullptr;
  // Memory that the caller shares with others, such as the keeper's table: page aligned, unmapped
  // in the process. May be empty.
  std::span<std::byte> shared{};
  // An empty directory and an empty file on a read-only mount of the caller's mount namespace,
  // cloned over masked paths; required when the plan masks a path. All containers share them and
  // a container with CAP_SYS_ADMIN can mount them read-write, so they must be immutable
  // (core/linux/immutable.h).
  const char* empty_dir = nullptr;
  const char* empty_file = nullptr;
  // A directory of a procfs of the caller's PID namespace, for oom_score_adj and sysctls; borrowed.
  // -1: /proc is tried, then a private one is mounted each time.
  int proc_fd = -1;
  // The caller's mount namespace is one mount: a read-only tmpfs that holds nothing but `empty_dir`
  // and `empty_file`, with nothing mounted below it. Then the container's root is moved over it and
  // the process changes its root, as a machine does that leaves its initramfs, and the tmpfs stays
  // beneath, unreachable by any path. That leaves out pivot_root and umount, which wait for an RCU
  // grace period and visit every process of the machine. A privileged container can dig it out
  // again: it must be as empty as promised.
  bool bare_root = false;
  // No signal is ignored in the caller, so that the clone alone makes all of them default.
  bool ignores_nothing = false;
};

struct SpawnResult {
  pid_t pid = -1;       // of the process, or of the stage when `helper`
  int pidfd = -1;       // of `pid`; owned by the caller from here on
  int channel = -1;     // reports (report.h), non-blocking, close-on-exec; owned by the caller
  bool helper = false;  // a stage; a `created` report will name the process itself
};

// 0, or the errno of what failed before there was a child (EINVAL: the request contradicts the
// plan). From then on everything comes by reports and by the exit of the process.
int spawn(const SpawnRequest& request, SpawnResult* result) noexcept;

}  // namespace berth::container
