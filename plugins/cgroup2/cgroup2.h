// SPDX-License-Identifier: Apache-2.0
// The resources plugin of machines where every controller with limits is on cgroup v2. See
// plugins/api/resources.h for the contract. All calls come on the ring's thread; removals and limit
// changes run on its offload threads. The directories are the state, except for the parents that
// the kubelet chose.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/linux/cgroup_fs.h"
#include "core/ring/ring.h"
#include "plugins/api/resources.h"
#include "plugins/resources/cgroup_mounts.h"
#include "plugins/resources/namespace_roots.h"

namespace berth::plugins {

struct Cgroup2Options {
  // The agent's own parent; may have several components.
  std::string parent = "berth";
  // Enabled from the root down, as far as the kernel has them.
  std::vector<std::string> controllers{"cpu", "cpuset", "memory", "pids", "hugetlb", "io"};
};

class Cgroup2 final : public ResourcesPlugin {
 public:
  // `ring` and `log` outlive the plugin. Errors: invalid_argument (parent), failed_precondition (no
  // v2 hierarchy), and the kernel's when it refuses the device program. Makes no cgroup yet.
  static Result<std::unique_ptr<Cgroup2>> create(Ring& ring, Log& log, Cgroup2Options options,
                                                 const std::vector<CgroupMount>& mounts);

  std::string_view name() const override { return "cgroup2"; }
  Task<void> recover(std::vector<LivingCgroup> living) override;
  Task<void> prepare_pod(PodCgroup pod) override;
  Task<Placement> prepare(ContainerCgroup container) override;
  Task<Placement> placement(std::string pod_id, std::string container_id) override;
  Task<std::vector<CgroupView>> views(std::string pod_id, std::string container_id) override;
  Task<Placement> pod_placement(std::string pod_id) override;
  Task<void> update(std::string pod_id, std::string container_id, Resources resources) override;
  Task<CgroupUsage> usage(std::string pod_id, std::string container_id) override;
  Task<void> kill(std::string pod_id, std::string container_id) override;
  Task<void> cleanup(std::string pod_id, std::string container_id) override;
  Task<void> cleanup_pod(std::string pod_id) override;
  Task<void> close() override;

 private:
  Cgroup2(Ring& ring, Log& log, Cgroup2Options options, sys::Cgroup root, NamespaceRoots rest,
          UniqueFd program)
      : ring_(ring),
        log_(log),
        options_(std::move(options)),
        root_(std::move(root)),
        rest_(std::move(rest)),
        default_devices_(std::move(program)) {}

  // Checks the ids. The pod's path, and the container's below it.
  Result<std::string> path_of_pod(const std::string& pod_id) const;
  Result<std::string> path_of(const std::string& pod_id, const std::string& container_id) const;
  Status prepare_pod_now(const PodCgroup& pod);
  Result<Placement> prepare_now(const ContainerCgroup& container) const;
  Status make_container(const std::string& path, const ContainerCgroup& container) const;
  Status restrict_devices(const sys::Cgroup& group, const ContainerCgroup& container) const;
  Result<Placement> place(const std::string& pod_id, const std::string& container_id) const;
  Status remove_container(const std::string& pod_id, const std::string& container_id) const;
  Status update_now(const std::string& path, const Resources& resources) const;
  Result<CgroupUsage> usage_now(const std::string& path) const;
  Status find_dead(const std::vector<LivingCgroup>& living, const std::string& parent,
                   std::vector<std::string>& dead) const;
  Result<std::vector<NamespaceRoots::Member>> find_dead_members(
      const std::vector<LivingCgroup>& living) const;

  Ring& ring_;
  Log& log_;
  Cgroup2Options options_;
  sys::Cgroup root_;
  NamespaceRoots rest_;  // v1 hierarchies beside it
  UniqueFd default_devices_;
  std::map<std::string, std::string> parents_;
};

}  // namespace berth::plugins
