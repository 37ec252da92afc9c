// SPDX-License-Identifier: Apache-2.0
// One pod with one container, made by system calls alone, as cheap as the kernel lets it be.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace floor_bench {

// Where pods are made. All are open directories, because the program leaves the mount namespace in
// which their paths mean something.
struct Site {
  std::vector<int> controllers;  // subtree of cpu, memory and pids where v1 has them
  int devices = -1;              // one v1 devices cgroup for all pods, -1 without v1
  int unified = -1;              // subtree in the v2 hierarchy, -1 without v2
  int pods = -1;                 // directory below which pods keep their files
  std::string lower;             // path of the image's unpacked tree, usable until leave_host
};

// A pod's own objects; fds are held as an agent would hold them.
struct Pod {
  std::string name;
  int rootfs = -1;            // detached overlay, until the child has attached it
  int etc[3] = {-1, -1, -1};  // likewise hosts, hostname, resolv.conf
  int files = -1;             // directory of the pod: upper, work and the three files above
  int unified = -1;
  int output = -1;  // read end of the container's stdout and stderr
  int pidfd = -1;
  pid_t pid = -1;
};

// Opens the cgroup subtree `cgroup` and the directory `pods` (made when absent).
Site open_site(const std::string& cgroup, const std::string& pods, const std::string& lower);

// Makes cgroups, files and the detached rootfs. Call it for every pod before leave_host.
Pod prepare_pod(const Site& site, const std::string& name);

// Replaces the process's mount namespace by one with a single small tmpfs, so that every clone
// copies one mount and not the host's table.
void leave_host();

// Starts the container: namespaces, cgroups, mounts, process. Returns when the program runs.
void start_pod(const Site& site, Pod& pod);

// False once the process of the pod has ended.
bool is_running(const Pod& pod);

// Ends the process and removes everything prepare_pod and start_pod made.
void remove_pod(const Site& site, Pod& pod);

}  // namespace floor_bench
