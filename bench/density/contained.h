// SPDX-License-Identifier: Apache-2.0
// The part of the floor's container that runs inside: it mounts, then executes the program.
#pragma once

namespace floor_bench {

struct ContainedFds {
  int rootfs;    // a detached overlay mount
  int go;        // read end of a pipe: one byte arrives after the process is in its cgroups
  int etc[3];    // detached mounts of hosts, hostname and resolv.conf
  int output;    // becomes stdout and stderr
  bool unified;  // only cgroup v2 exists: mount it at /sys/fs/cgroup
};

// Runs as PID 1 of the new namespaces. Attaches the rootfs at /rootfs of the small mount namespace
// that it inherited, makes the mounts of every container, pivots, and executes
// `/bin/sleep 1000000000`. If a step fails, prints it and ends the process with status 1.
[[noreturn]] void run_contained(const ContainedFds& fds);

}  // namespace floor_bench
