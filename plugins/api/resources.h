// SPDX-License-Identifier: Apache-2.0
// A resources plugin keeps cgroups: one for each pod, one below it for each container.
//
//   prepare_pod(pod) --> prepare(container) --> [update | usage | kill]* --> cleanup(container)
//                    --> cleanup_pod(pod)
//
// Rules. cleanup may come for an unknown id (after a crash) and is then harmless; it comes after
// every process of the cgroup was killed, may be called again, and answers failed_precondition
// while a process is still there. kill ends every process of the container's cgroup, descendants
// included, and does not wait for them. recover() is given every living id and removes every other
// cgroup below the agent's own. Values are the CRI's: 0 means "not set" except where the CRI says
// otherwise. Errors name the control file: "write memory.limit_in_bytes `pod/ctr`: EBUSY".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/task/task.h"

namespace berth::plugins {

// CRI LinuxContainerResources, without oom_score_adj, which belongs to the process.
struct Resources {
  std::int64_t cpu_period = 0;  // microseconds
  std::int64_t cpu_quota = 0;   // microseconds in each period; -1: no limit
  std::int64_t cpu_shares = 0;
  std::int64_t memory_limit_in_bytes = 0;       // -1: no limit
  std::int64_t memory_swap_limit_in_bytes = 0;  // memory plus swap; -1: no limit
  std::int64_t pids_limit = 0;                  // not in the CRI: from configuration
  std::string cpuset_cpus{};
  std::string cpuset_mems{};
  std::map<std::string, std::uint64_t> hugepage_limits{};  // "2MB" -> bytes
  std::map<std::string, std::string> unified{};            // cgroup v2 file -> value
};

// What the launcher needs to put a process into its cgroups.
struct Placement {
  UniqueFd cgroup{};                 // cgroup v2 directory for CLONE_INTO_CGROUP; not valid: none
  std::vector<UniqueFd> v1_tasks{};  // `tasks` files that the child writes "0" to before exec
};

// A container's own group in one hierarchy, for the container to look at below /sys/fs/cgroup.
struct CgroupView {
  std::string name{};                  // of the directory: "memory", "cpu,cpuacct", "unified"
  std::vector<std::string> aliases{};  // symbolic links to it: "cpu", "cpuacct"
  UniqueFd directory{};                // O_PATH
};

struct PodCgroup {
  std::string pod_id{};
  std::string cgroup_parent{};  // as the kubelet sends it; empty: the agent's own parent
  Resources resources{};
};

// What a container's processes could do with a cgroup filesystem. On v1 it decides in which
// hierarchies the container has groups of its own though it has no limits there.
enum class CgroupReach {
  none,            // they cannot mount one, nor make or join a namespace
  user_namespace,  // in a user namespace that they make, as the owner of their cgroup's files
  administrator,   // they have CAP_SYS_ADMIN, or share a PID namespace with a process that may
};

struct ContainerCgroup {
  std::string pod_id{};
  std::string container_id{};
  Resources resources{};
  CgroupReach reach = CgroupReach::administrator;
  bool privileged = false;             // every device is allowed
  std::vector<std::string> devices{};  // further device rules: "c 1:3 rwm"
};

struct CgroupUsage {
  std::uint64_t cpu_ns = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_working_set_bytes = 0;
  std::uint64_t pids = 0;
  bool oom_killed = false;
};

struct LivingCgroup {
  std::string pod_id{};
  std::string cgroup_parent{};
  std::vector<std::string> container_ids{};
};

class ResourcesPlugin {
 public:
  virtual ~ResourcesPlugin() = default;

  virtual std::string_view name() const = 0;
  // Makes the agent's parent cgroup, takes over what lives, removes the rest.
  virtual Task<void> recover(std::vector<LivingCgroup> living) = 0;
  virtual Task<void> prepare_pod(PodCgroup pod) = 0;
  virtual Task<Placement> prepare(ContainerCgroup container) = 0;
  // For a further process of a running container (exec).
  virtual Task<Placement> placement(std::string pod_id, std::string container_id) = 0;
  // What the container may see of its groups, where there is more than the one unified hierarchy;
  // none: that one, which the launcher mounts.
  virtual Task<std::vector<CgroupView>> views(std::string pod_id, std::string container_id) = 0;
  // For the pod's own init (shared PID namespace): a leaf of its own below the pod.
  virtual Task<Placement> pod_placement(std::string pod_id) = 0;
  virtual Task<void> update(std::string pod_id, std::string container_id, Resources resources) = 0;
  virtual Task<CgroupUsage> usage(std::string pod_id, std::string container_id) = 0;
  virtual Task<void> kill(std::string pod_id, std::string container_id) = 0;
  virtual Task<void> cleanup(std::string pod_id, std::string container_id) = 0;
  virtual Task<void> cleanup_pod(std::string pod_id) = 0;
  // Called once before the agent ends in order: removes shared cgroups that have no process. The
  // cgroups of living pods stay.
  virtual Task<void> close() { co_return; }
};

}  // namespace berth::plugins
