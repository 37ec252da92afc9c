// SPDX-License-Identifier: Apache-2.0
// One pod with one container, made only with system calls and with as little memory as possible.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace floor_bench {

// The directories in which pods are made. They are open descriptors, because the program leaves the
// mount namespace in which their paths are valid.
struct Site {
  std::vector<int> controllers;  // subtrees of cpu, memory and pids, if they are on v1
  int devices = -1;              // one v1 devices cgroup for all pods, -1 without v1
  int unified = -1;              // subtree in the v2 hierarchy, -1 without v2
  int pods = -1;                 // parent directory of the files of pods
  std::string lower;             // path of the image's unpacked tree, usable until leave_host
};

// The objects of one pod. The descriptors stay open, as in an agent.
struct Pod {
  std::string name;
  int rootfs = -1;            // detached overlay, until the child has attached it
  int etc[3] = {-1, -1, -1};  // detached mounts of hosts, hostname and resolv.conf
  int files = -1;             // directory of the pod: upper, work and these three files
  int unified = -1;
  int output = -1;  // read end of the container's stdout and stderr
  int pidfd = -1;
  pid_t pid = -1;
};

// Opens the cgroup subtree `cgroup` and the directory `pods`, which is made if it is missing.
Site open_site(const std::string& cgroup, const std::string& pods, const std::string& lower);

// Makes cgroups, files and the detached rootfs. Call it for every pod before leave_host.
Pod prepare_pod(const Site& site, const std::string& name);

// Moves the process to a mount namespace with a single small tmpfs, so that each clone copies one
// mount instead of all mounts of the host.
void leave_host();

// Starts the container: namespaces, cgroups, mounts, process. Returns when the program was
// executed.
void start_pod(const Site& site, Pod& pod);

// False once the process of the pod has ended.
bool is_running(const Pod& pod);

// Ends the process and removes everything prepare_pod and start_pod made.
void remove_pod(const Site& site, Pod& pod);

}  // namespace floor_bench
