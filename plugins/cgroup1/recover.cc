// SPDX-License-Identifier: Apache-2.0
// At the start of the agent: makes the parents, keeps the groups of living pods, kills and removes
// every other group below the parents.
//
// A crash can leave a pod in some hierarchies and not in others, so each is swept by itself, by
// name alone. Below our own parent everything that does not live goes; below a parent that the
// kubelet chose only what carries our prefix, because others put their groups there too.
#include <set>
#include <utility>

#include "core/ring/offload.h"
#include "plugins/cgroup1/cgroup1.h"
#include "plugins/cgroup1/device_groups.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"

namespace berth::plugins {
namespace {

using LivingSet = std::map<std::string, std::set<std::string>>;  // pod id to container ids

struct Dead {
  const sys::Cgroup* root;
  std::string path;
};

bool container_lives(const LivingSet& living, const std::string& pod_id,
                     const std::string& container_id) {
  const auto pod = living.find(pod_id);
  if (pod == living.end()) return false;
  return container_id == kPodInit || pod->second.count(container_id) != 0;
}

// The groups below `parent` of one hierarchy that belong to no living pod.
Status find_dead(const sys::Cgroup& root, const std::string& parent, bool parent_is_ours,
                 const LivingSet& living, std::vector<Dead>& dead) {
  TRY(const std::vector<std::string> names, child_names(root, parent));
  for (const std::string& name : names) {
    const std::string path = parent + "/" + name;
    const CgroupName parsed = parse_cgroup_name(name);
    if (parsed.pod_id.empty()) {
      const bool shared = name == kSharedGroup || name == kGuardedDeviceGroup;
      if (parent_is_ours && !shared) dead.push_back({&root, path});
      continue;
    }
    if (!parsed.container_id.empty()) {
      if (!container_lives(living, parsed.pod_id, parsed.container_id))
        dead.push_back({&root, path});
      continue;
    }
    if (living.count(parsed.pod_id) == 0) {
      dead.push_back({&root, path});
      continue;
    }
    TRY(const std::vector<std::string> leaves, child_names(root, path));
    for (const std::string& leaf : leaves) {
      if (!container_lives(living, parsed.pod_id, leaf)) dead.push_back({&root, path + "/" + leaf});
    }
  }
  return {};
}

// Tries every group; returns the first error.
Status remove_all(const std::vector<Dead>& dead) {
  Status first;
  for (const Dead& group : dead) {
    Status removed = remove_cgroup(*group.root, group.path);
    if (!removed.ok() && first.ok()) first = std::move(removed);
  }
  return first;
}

Status kill_all(const std::vector<Dead>& dead) {
  for (const Dead& group : dead) TRY_(kill_cgroup(*group.root, group.path));
  for (const Dead& group : dead) {
    if (!cgroup_exists(*group.root, group.path + "/freezer.state")) continue;
    TRY_(thaw_cgroup(*group.root, group.path));
  }
  return {};
}

std::vector<const sys::Cgroup*> roots_of(const Hierarchies& all) {
  std::vector<const sys::Cgroup*> roots;
  if (all.unified.valid()) roots.push_back(&all.unified);  // first: cgroup.kill is here
  for (const Hierarchy& hierarchy : all.v1) roots.push_back(&hierarchy.root);
  if (all.devices.valid()) roots.push_back(&all.devices);
  // With cpuset for the second time: looking twice does no harm.
  for (const sys::Cgroup* root : all.rest.roots()) roots.push_back(root);
  return roots;
}

}  // namespace

Status Cgroup1::make_parents() const {
  const Hierarchies& all = groups_.hierarchies();
  const std::string& parent = groups_.own_parent();
  if (all.unified.valid()) TRY_(make_cgroup(all.unified, parent));
  for (const Hierarchy& hierarchy : all.v1) {
    if (hierarchy.always) TRY_(make_cgroup(hierarchy.root, parent));
  }
  return groups_.make_shared_devices();
}

Task<void> Cgroup1::recover(std::vector<LivingCgroup> living) {
  co_await make_parents();
  for (const std::string& fault : groups_.make_shared_rest()) log_.warn("cgroup1", fault);
  LivingSet alive;
  std::set<std::string> parents{groups_.own_parent()};
  parents_.clear();
  for (const LivingCgroup& pod : living) {
    alive[pod.pod_id].insert(pod.container_ids.begin(), pod.container_ids.end());
    if (pod.cgroup_parent.empty()) continue;
    std::string parent = co_await relative_cgroup_path(pod.cgroup_parent);
    parents.insert(parent);
    parents_[pod.pod_id] = std::move(parent);
  }
  std::vector<Dead> dead;
  for (const sys::Cgroup* root : roots_of(groups_.hierarchies())) {
    for (const std::string& parent : parents) {
      const bool ours = parent == groups_.own_parent();
      co_await find_dead(*root, parent, ours, alive, dead);
    }
  }
  const Hierarchies& all = groups_.hierarchies();
  if (all.devices.valid()) {
    const std::string guarded = groups_.own_parent() + "/" + kGuardedDeviceGroup;
    co_await find_dead(all.devices, guarded, true, alive, dead);
  }
  co_await all.rest.sweep();
  if (dead.empty()) co_return;
  auto kill = [&dead] { return kill_all(dead); };
  co_await offload(ring_, kill);
  std::function<Status()> attempt = [&dead] { return remove_all(dead); };
  Status removed = co_await remove_when_empty(ring_, std::move(attempt)).result();
  // A process that cannot die (waiting for a disk) must not keep the agent from starting.
  if (!removed.ok()) log_.warn("cgroup1", "left behind: " + removed.error().message());
}

}  // namespace berth::plugins
