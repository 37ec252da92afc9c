// SPDX-License-Identifier: Apache-2.0
// At the start of the agent: makes the parent and enables its controllers, keeps the groups of
// living pods, kills and removes every other group below it. Below a parent that the kubelet chose,
// only groups with our prefix are removed.
#include <algorithm>
#include <set>
#include <utility>

#include "core/ring/offload.h"
#include "plugins/cgroup2/cgroup2.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"

namespace berth::plugins {
namespace {

const LivingCgroup* find_pod(const std::vector<LivingCgroup>& living, const std::string& pod_id) {
  const auto is_it = [&pod_id](const LivingCgroup& pod) { return pod.pod_id == pod_id; };
  const auto found = std::find_if(living.begin(), living.end(), is_it);
  return found == living.end() ? nullptr : &*found;
}

bool lives_in(const LivingCgroup& pod, const std::string& leaf) {
  const auto& ids = pod.container_ids;
  return leaf == kPodInit || std::find(ids.begin(), ids.end(), leaf) != ids.end();
}

}  // namespace

Status Cgroup2::find_dead(const std::vector<LivingCgroup>& living, const std::string& parent,
                          std::vector<std::string>& dead) const {
  const bool parent_is_ours = parent == options_.parent;
  TRY(const std::vector<std::string> names, child_names(root_, parent));
  for (const std::string& name : names) {
    const std::string path = parent + "/" + name;
    const CgroupName parsed = parse_cgroup_name(name);
    const LivingCgroup* const pod = find_pod(living, parsed.pod_id);
    if (pod == nullptr) {
      if (parent_is_ours || !parsed.pod_id.empty()) dead.push_back(path);
      continue;
    }
    TRY(const std::vector<std::string> leaves, child_names(root_, path));
    for (const std::string& leaf : leaves) {
      if (!lives_in(*pod, leaf)) dead.push_back(path + "/" + leaf);
    }
  }
  return {};
}

Result<std::vector<NamespaceRoots::Member>> Cgroup2::find_dead_members(
    const std::vector<LivingCgroup>& living) const {
  TRY(std::vector<NamespaceRoots::Member> members, rest_.members());
  std::erase_if(members, [&living](const NamespaceRoots::Member& member) {
    const LivingCgroup* const pod = find_pod(living, member.pod_id);
    return pod != nullptr && lives_in(*pod, member.container_id);
  });
  return members;
}

Task<void> Cgroup2::recover(std::vector<LivingCgroup> living) {
  co_await make_cgroup(root_, options_.parent);
  co_await enable_controllers(root_, options_.parent, options_.controllers);
  for (const std::string& fault : rest_.make_shared()) log_.warn("cgroup2", fault);
  std::set<std::string> parents{options_.parent};
  parents_.clear();
  for (const LivingCgroup& pod : living) {
    if (pod.cgroup_parent.empty()) continue;
    std::string parent = co_await relative_cgroup_path(pod.cgroup_parent);
    parents.insert(parent);
    parents_[pod.pod_id] = std::move(parent);
  }
  std::vector<std::string> dead;
  for (const std::string& parent : parents) co_await find_dead(living, parent, dead);
  for (const std::string& path : dead) co_await kill_cgroup(root_, path);
  const std::vector<NamespaceRoots::Member> members = co_await find_dead_members(living);
  for (const NamespaceRoots::Member& member : members) co_await rest_.thaw(member);
  std::function<Status()> attempt = [this, &dead, &members]() -> Status {
    Status first;
    for (const NamespaceRoots::Member& member : members) {
      Status removed = rest_.remove(member);
      if (!removed.ok() && first.ok()) first = std::move(removed);
    }
    for (const std::string& path : dead) {
      Status removed = remove_cgroup(root_, path);
      if (!removed.ok() && first.ok()) first = std::move(removed);
    }
    return first;
  };
  Status removed = co_await remove_when_empty(ring_, std::move(attempt)).result();
  // A process that cannot die (waiting for a disk) must not keep the agent from starting.
  if (!removed.ok()) log_.warn("cgroup2", "left behind: " + removed.error().message());
}

}  // namespace berth::plugins
