// SPDX-License-Identifier: Apache-2.0
// The resources plugin of hybrid and v1 machines. See plugins/api/resources.h for the contract and
// the README here for where things are. All calls come on the ring's thread; what takes longer than
// some tens of microseconds (rmdir) runs on its offload threads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/ring/ring.h"
#include "plugins/api/resources.h"
#include "plugins/cgroup1/groups.h"
#include "plugins/resources/cgroup_mounts.h"

namespace berth::plugins {

struct Cgroup1Options {
  // The agent's own parent, made in every hierarchy; may have several components.
  std::string parent = "berth";
};

class Cgroup1 final : public ResourcesPlugin {
 public:
  // `ring` and `log` outlive the plugin. Errors: invalid_argument (parent), failed_precondition
  // (nothing is mounted). Makes nothing yet: recover does.
  static Result<std::unique_ptr<Cgroup1>> create(Ring& ring, Log& log, Cgroup1Options options,
                                                 const std::vector<CgroupMount>& mounts);

  std::string_view name() const override { return "cgroup1"; }
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
  Cgroup1(Ring& ring, Log& log, Groups groups)
      : ring_(ring), log_(log), groups_(std::move(groups)) {}
  // Checks both ids.
  Result<GroupKey> key_of(const std::string& pod_id, const std::string& container_id) const;
  Status prepare_pod_now(const PodCgroup& pod);
  Result<Placement> prepare_now(const ContainerCgroup& container) const;
  Result<Placement> pod_placement_now(const std::string& pod_id) const;
  Status make_parents() const;

  Ring& ring_;
  Log& log_;
  Groups groups_;
  // Parent of the pods that are not below our own. The kubelet's choice is nowhere else to be
  // found.
  std::map<std::string, std::string> parents_;
};

}  // namespace berth::plugins
