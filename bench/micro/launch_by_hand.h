// SPDX-License-Identifier: Apache-2.0
// The baselines of launch_bench.cc: a process started with nothing but system calls. Both give the
// pid of a child that has executed its program, and end the bench when it has not.
#pragma once

#include <sys/types.h>

namespace berth::bench {

// vfork and exec: no namespace, no mount.
pid_t spawn_bare(int program);

// clone3 with the namespaces of a container; the child attaches `rootfs` (a detached mount) at
// /rootfs, mounts and masks what launch_bench.cc's Spec lists, pivots, and executes /bin/true. The
// caller's root is a small one with the directories /rootfs and /empty.
pid_t spawn_by_hand(int rootfs);

}  // namespace berth::bench
