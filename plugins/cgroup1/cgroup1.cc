// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup1/cgroup1.h"

#include <utility>

#include "core/ring/offload.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"
#include "plugins/resources/devices.h"
#include "plugins/resources/policy.h"

namespace berth::plugins {

Result<std::unique_ptr<Cgroup1>> Cgroup1::create(Ring& ring, Log& log, Cgroup1Options options,
                                                 const std::vector<CgroupMount>& mounts) {
  TRY(std::string parent, relative_cgroup_path(options.parent));
  TRY(Hierarchies hierarchies, Hierarchies::open(mounts, parent));
  Groups groups(std::move(hierarchies), std::move(parent));
  return std::unique_ptr<Cgroup1>(new Cgroup1(ring, log, std::move(groups)));
}

Result<GroupKey> Cgroup1::key_of(const std::string& pod_id, const std::string& container_id) const {
  TRY_(validate_cgroup_id("pod_id", pod_id));
  TRY_(validate_cgroup_id("container_id", container_id));
  const auto chosen = parents_.find(pod_id);
  return GroupKey{chosen == parents_.end() ? groups_.own_parent() : chosen->second, pod_id,
                  container_id};
}

Status Cgroup1::prepare_pod_now(const PodCgroup& pod) {
  TRY_(validate_cgroup_id("pod_id", pod.pod_id));
  TRY_(validate(pod.resources));
  GroupKey key{groups_.own_parent(), pod.pod_id, {}};
  if (!pod.cgroup_parent.empty()) {
    TRY(key.parent, relative_cgroup_path(pod.cgroup_parent));
  }
  Status made = groups_.make_pod(key, pod.resources);
  if (!made.ok()) {
    // The error says what went wrong; a leftover is found again by recover.
    static_cast<void>(groups_.remove_pod(key));
    return made;
  }
  if (key.parent != groups_.own_parent()) parents_[pod.pod_id] = key.parent;
  return {};
}

Result<Placement> Cgroup1::prepare_now(const ContainerCgroup& container) const {
  TRY(const GroupKey key, key_of(container.pod_id, container.container_id));
  TRY_(validate(container.resources));
  for (const std::string& rule : container.devices) TRY_(parse_device_rule(rule));
  Status made = groups_.make_container(key, container);
  if (made.ok()) {
    Result<Placement> placed = groups_.place(key);
    if (placed.ok()) return placed;
    made = std::move(placed).error();
  }
  static_cast<void>(groups_.remove_container(key));
  return std::move(made).error();
}

Result<Placement> Cgroup1::pod_placement_now(const std::string& pod_id) const {
  TRY(const GroupKey key, key_of(pod_id, std::string(kPodInit)));
  TRY_(groups_.make_leaf(key));
  return groups_.place(key);
}

// Some twenty system calls of a few microseconds each: handing them to another thread would cost
// more.
Task<void> Cgroup1::prepare_pod(PodCgroup pod) {
  co_await prepare_pod_now(pod);
}

Task<Placement> Cgroup1::prepare(ContainerCgroup container) {
  co_return prepare_now(container);
}

Task<Placement> Cgroup1::placement(std::string pod_id, std::string container_id) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  co_return groups_.place(key);
}

Task<std::vector<CgroupView>> Cgroup1::views(std::string pod_id, std::string container_id) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  co_return groups_.views(key);
}

Task<Placement> Cgroup1::pod_placement(std::string pod_id) {
  co_return pod_placement_now(pod_id);
}

Task<void> Cgroup1::update(std::string pod_id, std::string container_id, Resources resources) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  co_await validate(resources);
  // Lowering a memory limit reclaims pages, which can take long. Named, as below: GCC 12 copies a
  // temporary lambda of a co_await expression bit by bit.
  auto work = [this, &key, &resources] { return groups_.update(key, resources); };
  co_await offload(ring_, work);
}

Task<CgroupUsage> Cgroup1::usage(std::string pod_id, std::string container_id) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  co_return groups_.usage(key);
}

Task<void> Cgroup1::kill(std::string pod_id, std::string container_id) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  co_await groups_.kill(key);
  const NamespaceRoots& rest = groups_.hierarchies().rest;
  const NamespaceRoots::Member member{pod_id, container_id};
  if (!rest.has_freezer(member)) co_return;
  // The container chooses how many groups there are.
  auto thaw = [&rest, &member] { return rest.thaw(member); };
  co_await offload(ring_, thaw);
}

Task<void> Cgroup1::cleanup(std::string pod_id, std::string container_id) {
  const GroupKey key = co_await key_of(pod_id, container_id);
  std::function<Status()> attempt = [this, &key] { return groups_.remove_container(key); };
  co_await remove_when_empty(ring_, std::move(attempt));
}

Task<void> Cgroup1::cleanup_pod(std::string pod_id) {
  const std::string init(kPodInit);
  const GroupKey key = co_await key_of(pod_id, init);
  std::function<Status()> attempt = [this, &key] { return groups_.remove_pod(key); };
  co_await remove_when_empty(ring_, std::move(attempt));
  parents_.erase(pod_id);
}

Task<void> Cgroup1::close() {
  const Status removed = groups_.remove_shared();
  if (!removed.ok() && !removed.error().is(Errc::failed_precondition)) {
    log_.warn("cgroup1", removed.error().message());
  }
  co_return;
}

}  // namespace berth::plugins
