// SPDX-License-Identifier: Apache-2.0
// Cgroups as entries of a table. Killing and the refusal to remove a cgroup with processes in it
// look at the Machine's processes.
#pragma once

#include <map>
#include <set>
#include <string>

#include "plugins/api/resources.h"
#include "tests/support/fakes/faults.h"
#include "tests/support/fakes/machine.h"

namespace berth::fakes {

// Outlives the agent. By pod id: the ids of its containers.
using Cgroups = std::map<std::string, std::set<std::string>>;

class FakeResources final : public plugins::ResourcesPlugin {
 public:
  FakeResources(Cgroups& cgroups, Machine& machine, Faults& faults)
      : cgroups_(cgroups), machine_(machine), faults_(faults) {}

  std::string_view name() const override { return "fake"; }
  Task<void> recover(std::vector<plugins::LivingCgroup> living) override;
  Task<void> prepare_pod(plugins::PodCgroup pod) override;
  Task<plugins::Placement> prepare(plugins::ContainerCgroup container) override;
  Task<plugins::Placement> placement(std::string pod_id, std::string container_id) override;
  Task<std::vector<plugins::CgroupView>> views(std::string pod_id,
                                               std::string container_id) override;
  Task<plugins::Placement> pod_placement(std::string pod_id) override;
  Task<void> update(std::string pod_id, std::string container_id,
                    plugins::Resources resources) override;
  Task<plugins::CgroupUsage> usage(std::string pod_id, std::string container_id) override;
  Task<void> kill(std::string pod_id, std::string container_id) override;
  Task<void> cleanup(std::string pod_id, std::string container_id) override;
  Task<void> cleanup_pod(std::string pod_id) override;

 private:
  Status need(const std::string& pod_id, const std::string& container_id) const;
  Status remove(const std::string& pod_id, const std::string& container_id);

  Cgroups& cgroups_;
  Machine& machine_;
  Faults& faults_;
};

}  // namespace berth::fakes
