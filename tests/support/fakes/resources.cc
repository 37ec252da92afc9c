// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fakes/resources.h"

#include <errno.h>

#include <utility>

namespace berth::fakes {

using plugins::Placement;

Status FakeResources::need(const std::string& pod_id, const std::string& container_id) const {
  const auto pod = cgroups_.find(pod_id);
  const bool is_there =
      pod != cgroups_.end() && (container_id.empty() || pod->second.contains(container_id));
  if (is_there) return {};
  return make_error(Errc::not_found, "no cgroup `" + pod_id + "/" + container_id + "`");
}

Task<void> FakeResources::recover(std::vector<plugins::LivingCgroup> living) {
  co_await faults_.before("resources.recover");
  Cgroups kept;
  for (const plugins::LivingCgroup& pod : living) {
    const auto found = cgroups_.find(pod.pod_id);
    if (found == cgroups_.end()) continue;
    std::set<std::string>& containers = kept[pod.pod_id];
    for (const std::string& id : pod.container_ids) {
      if (found->second.contains(id)) containers.insert(id);
    }
  }
  for (const auto& [pod_id, containers] : cgroups_) {
    for (const std::string& id : containers) {
      if (!kept.contains(pod_id) || !kept[pod_id].contains(id)) machine_.kill_container(id);
    }
  }
  cgroups_ = std::move(kept);
  co_await faults_.after("resources.recover");
}

Task<void> FakeResources::prepare_pod(plugins::PodCgroup pod) {
  co_await faults_.before("resources.prepare_pod");
  cgroups_[pod.pod_id];
  co_await faults_.after("resources.prepare_pod");
}

Task<Placement> FakeResources::prepare(plugins::ContainerCgroup container) {
  co_await faults_.before("resources.prepare");
  co_await need(container.pod_id, "");
  cgroups_[container.pod_id].insert(container.container_id);
  co_await faults_.after("resources.prepare");
  co_return Placement();
}

Task<Placement> FakeResources::placement(std::string pod_id, std::string container_id) {
  co_await faults_.before("resources.placement");
  co_await need(pod_id, container_id);
  co_return Placement();
}

Task<std::vector<plugins::CgroupView>> FakeResources::views(std::string pod_id,
                                                            std::string container_id) {
  co_await faults_.before("resources.views");
  co_await need(pod_id, container_id);
  co_return std::vector<plugins::CgroupView>();
}

Task<Placement> FakeResources::pod_placement(std::string pod_id) {
  co_await faults_.before("resources.pod_placement");
  co_await need(pod_id, "");
  co_return Placement();
}

Task<void> FakeResources::update(std::string pod_id, std::string container_id, plugins::Resources) {
  co_await faults_.before("resources.update");
  co_await need(pod_id, container_id);
  co_await faults_.after("resources.update");
}

Task<plugins::CgroupUsage> FakeResources::usage(std::string pod_id, std::string container_id) {
  co_await faults_.before("resources.usage");
  co_await need(pod_id, container_id);
  co_return plugins::CgroupUsage();
}

Task<void> FakeResources::kill(std::string pod_id, std::string container_id) {
  co_await faults_.before("resources.kill");
  co_await need(pod_id, container_id);
  machine_.kill_container(container_id);
  co_await faults_.after("resources.kill");
}

Status FakeResources::remove(const std::string& pod_id, const std::string& container_id) {
  const auto pod = cgroups_.find(pod_id);
  if (pod == cgroups_.end() || !pod->second.contains(container_id)) return {};
  if (machine_.has_living(container_id)) {
    Error busy = sys_error(EBUSY, "rmdir", pod_id + "/" + container_id);
    busy.code = Errc::failed_precondition;
    return busy;
  }
  pod->second.erase(container_id);
  return {};
}

Task<void> FakeResources::cleanup(std::string pod_id, std::string container_id) {
  co_await faults_.before("resources.cleanup");
  co_await remove(pod_id, container_id);
  co_await faults_.after("resources.cleanup");
}

Task<void> FakeResources::cleanup_pod(std::string pod_id) {
  co_await faults_.before("resources.cleanup_pod");
  const auto pod = cgroups_.find(pod_id);
  if (pod != cgroups_.end() && !pod->second.empty()) {
    co_await fail(Errc::failed_precondition, "cgroup `" + pod_id + "` has containers");
  }
  cgroups_.erase(pod_id);
  co_await faults_.after("resources.cleanup_pod");
}

}  // namespace berth::fakes
