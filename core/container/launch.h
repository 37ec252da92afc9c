// SPDX-License-Identifier: Apache-2.0
// The agent's side of a launch: writes the message of launch_plan.h. Its input is what the child
// does, not what a specification says: sources are descriptors, options are numbers, sysctls are
// paths. All descriptors are borrowed: they must stay open until the keeper has received them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/container/launch_plan.h"
#include "core/oci/spec.h"

namespace berth::container {

struct EncodedPlan {
  UniqueFd memfd;        // sealed
  std::size_t size = 0;  // bytes of the message
  std::vector<int> fds;  // in the order in which the plan counts them; not the memfd
};

// With `source_fd` >= 0 the source is a detached mount tree (open_tree or fsmount) that is moved to
// `destination`; type, source and data are then unused. Otherwise a new filesystem of `type` is
// made with `data` as its option string. `flags` are MOUNT_ATTR_* values (mount_setattr(2));
// `recursive_flags` are applied with AT_RECURSIVE. The destination is resolved inside the root
// filesystem and made when missing: a directory, or a file when `destination_is_file`.
struct LaunchMount {
  std::string destination{};
  std::string type{};
  std::string source{};
  std::string data{};
  int source_fd = -1;
  std::uint64_t flags = 0;
  std::uint64_t recursive_flags = 0;
  std::uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE, MS_SHARED or 0 for private; recursive
  bool destination_is_file = false;
};

struct LaunchNamespace {
  PlanNamespaceMode mode = PlanNamespaceMode::host;
  int fd = -1;  // for join
};

struct LaunchNamespaces {
  LaunchNamespace pid{PlanNamespaceMode::fresh, -1};
  LaunchNamespace mount{PlanNamespaceMode::fresh, -1};
  LaunchNamespace ipc{};
  LaunchNamespace uts{};
  LaunchNamespace network{};
  LaunchNamespace cgroup{PlanNamespaceMode::fresh, -1};
};

// A container as its child makes it.
struct LaunchContainer {
  oci::Process process{};
  bool root_readonly = false;
  std::vector<LaunchMount> mounts{};
  LaunchNamespaces namespaces{};
  std::vector<oci::Device> devices{};  // nodes in the container's /dev
  std::vector<std::string> masked_paths{};
  std::vector<std::string> readonly_paths{};
  // "net/ipv4/ip_forward" -> "1"; the caller has checked that a namespace of the container has it.
  std::map<std::string, std::string> sysctl{};
  std::span<const std::uint64_t> seccomp{};  // struct sock_filter each; empty: unconfined
};

// The places of a process.
struct LaunchFds {
  int rootfs = -1;              // container: the detached mount; consumed by the launch
  int target = -1;              // exec: pidfd of the container's first process
  int cgroup = -1;              // cgroup v2 directory, or none
  std::vector<int> v1_tasks{};  // `tasks` files open for writing, or none
};

// container: everything in `container`. Devices are made exactly as listed, none is implied.
Result<EncodedPlan> encode_container(const LaunchContainer& container, const LaunchFds& fds);
// exec: only the process and the filter; all namespaces of the target but its user namespace.
Result<EncodedPlan> encode_exec(const oci::Process& process, std::span<const std::uint64_t> seccomp,
                                const LaunchFds& fds);
// pod_init: a fresh PID namespace and `namespaces`' ipc, uts and network; runs as `oom_score_adj`.
Result<EncodedPlan> encode_pod_init(const LaunchNamespaces& namespaces, int oom_score_adj,
                                    const LaunchFds& fds);
// Errors of all three: invalid_argument (a NUL inside a text, an empty args, a relative
// destination, a duplicate rootfs), resource_exhausted (more than 4 MiB, 1,280 descriptors or 1,024
// mounts).

}  // namespace berth::container
