// SPDX-License-Identifier: Apache-2.0
// The baselines of launch_bench.cc: processes started only with system calls. Both functions return
// the pid of a child that has executed its program, and end the bench on failure.
#pragma once

#include <sys/types.h>

namespace berth::bench {

// vfork and exec: no namespace, no mount.
pid_t spawn_bare(int program);

// clone3 with the namespaces of a container. The child attaches `rootfs` (a detached mount) at
// /rootfs, makes the mounts and masks of the Spec in launch_bench.cc, pivots, and executes
// /bin/true. The caller's root must have the directories /rootfs and /empty.
pid_t spawn_by_hand(int rootfs);

}  // namespace berth::bench
