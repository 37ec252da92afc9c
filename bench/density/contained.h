// SPDX-License-Identifier: Apache-2.0
// The inside of a hand-made container: its mounts, then its program.
#pragma once

namespace floor_bench {

struct ContainedFds {
  int rootfs;    // a detached overlay mount
  int go;        // read end: one byte comes when the cgroups are joined
  int etc[3];    // detached mounts of hosts, hostname and resolv.conf
  int output;    // becomes stdout and stderr
  bool unified;  // cgroup v2 alone: mount it at /sys/fs/cgroup
};

// Runs as PID 1 of the new namespaces: attaches the rootfs at /rootfs of the small mount namespace
// it inherited a copy of, mounts what every container gets, pivots, and executes
// `/bin/sleep 1000000000`. Ends the process with status 1, naming the step, when one fails.
[[noreturn]] void run_contained(const ContainedFds& fds);

}  // namespace floor_bench
