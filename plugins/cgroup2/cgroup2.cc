// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup2/cgroup2.h"

#include <errno.h>
#include <fcntl.h>

#include <utility>

#include "core/base/undo.h"
#include "core/ring/offload.h"
#include "plugins/cgroup2/device_program.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"
#include "plugins/resources/policy.h"
#include "plugins/resources/usage.h"

namespace berth::plugins {
namespace {

std::vector<ControlWrite> writes_of(const Resources& resources, const CurrentLimits& current) {
  std::vector<ControlWrite> all;
  for (const Controller controller : {Controller::cpu, Controller::cpuset, Controller::memory,
                                      Controller::pids, Controller::hugetlb, Controller::unified}) {
    for (ControlWrite& write : control_writes(controller, CgroupVersion::v2, resources, current)) {
      all.push_back(std::move(write));
    }
  }
  return all;
}

// A file that is missing because its controller is: usage then has a 0.
Result<std::string> read_if_there(const sys::Cgroup& group, const char* file) {
  Result<std::string> text = group.read(file);
  if (!text.ok() && text.error().sys_errno == ENOENT) return std::string();
  return text;
}

}  // namespace

Result<std::unique_ptr<Cgroup2>> Cgroup2::create(Ring& ring, Log& log, Cgroup2Options options,
                                                 const std::vector<CgroupMount>& mounts) {
  TRY(options.parent, relative_cgroup_path(options.parent));
  sys::Cgroup root;
  NamespaceRoots rest(options.parent);
  for (const CgroupMount& mount : mounts) {
    if (mount.version == CgroupVersion::v1) {
      rest.add(mount);
    } else if (!root.valid()) {
      TRY(root, open_hierarchy(mount));
    }
  }
  if (!root.valid()) {
    return make_error(Errc::failed_precondition,
                      "no cgroup v2 hierarchy is mounted in this mount namespace");
  }
  TRY(UniqueFd program, load_device_program(default_and({})));
  return std::unique_ptr<Cgroup2>(new Cgroup2(ring, log, std::move(options), std::move(root),
                                              std::move(rest), std::move(program)));
}

Result<std::string> Cgroup2::path_of_pod(const std::string& pod_id) const {
  TRY_(validate_cgroup_id("pod_id", pod_id));
  const auto chosen = parents_.find(pod_id);
  return pod_path(chosen == parents_.end() ? options_.parent : chosen->second, pod_id);
}

Result<std::string> Cgroup2::path_of(const std::string& pod_id,
                                     const std::string& container_id) const {
  TRY(const std::string pod, path_of_pod(pod_id));
  TRY_(validate_cgroup_id("container_id", container_id));
  return pod + "/" + container_id;
}

Status Cgroup2::prepare_pod_now(const PodCgroup& pod) {
  TRY_(validate_cgroup_id("pod_id", pod.pod_id));
  TRY_(validate(pod.resources));
  std::string parent = options_.parent;
  if (!pod.cgroup_parent.empty()) {
    TRY(parent, relative_cgroup_path(pod.cgroup_parent));
  }
  const std::string path = pod_path(parent, pod.pod_id);
  TRY_(make_cgroup(root_, path));
  Undo undo;
  undo.push([this, &path] { static_cast<void>(remove_cgroup(root_, path)); });
  TRY_(enable_controllers(root_, path, options_.controllers));
  TRY(const sys::Cgroup group, sys::Cgroup::open(root_.fd(), path));
  TRY_(write_limits(group, writes_of(pod.resources, {})));
  undo.commit();
  if (parent != options_.parent) parents_[pod.pod_id] = std::move(parent);
  return {};
}

Status Cgroup2::restrict_devices(const sys::Cgroup& group, const ContainerCgroup& container) const {
  if (container.privileged) return {};
  if (container.devices.empty()) {
    return attach_device_program(group.fd(), default_devices_.get());
  }
  std::vector<DeviceRule> further;
  for (const std::string& text : container.devices) {
    TRY(const DeviceRule rule, parse_device_rule(text));
    further.push_back(rule);
  }
  TRY(const UniqueFd program, load_device_program(default_and(further)));
  return attach_device_program(group.fd(), program.get());
}

Status Cgroup2::make_container(const std::string& path, const ContainerCgroup& container) const {
  TRY_(make_cgroup(root_, path));
  TRY(const sys::Cgroup group, sys::Cgroup::open(root_.fd(), path));
  TRY_(write_limits(group, writes_of(container.resources, {})));
  return restrict_devices(group, container);
}

Result<Placement> Cgroup2::place(const std::string& pod_id, const std::string& container_id) const {
  TRY(const std::string path, path_of(pod_id, container_id));
  Placement placement;
  TRY(placement.cgroup, root_.open_control(path, O_RDONLY | O_DIRECTORY));
  TRY_(rest_.place({pod_id, container_id}, {}, placement.v1_tasks));
  return placement;
}

Status Cgroup2::remove_container(const std::string& pod_id, const std::string& container_id) const {
  TRY(const std::string path, path_of(pod_id, container_id));
  TRY_(rest_.remove({pod_id, container_id}));
  return remove_cgroup(root_, path);
}

Result<Placement> Cgroup2::prepare_now(const ContainerCgroup& container) const {
  const std::string& pod_id = container.pod_id;
  const std::string& id = container.container_id;
  TRY(const std::string path, path_of(pod_id, id));
  TRY_(validate(container.resources));
  Undo undo;
  undo.push([&] { static_cast<void>(remove_container(pod_id, id)); });
  TRY_(make_container(path, container));
  TRY_(rest_.make({pod_id, id}, container.reach, {}));
  TRY(Placement placement, place(pod_id, id));
  undo.commit();
  return placement;
}

Status Cgroup2::update_now(const std::string& path, const Resources& resources) const {
  TRY(const sys::Cgroup group, sys::Cgroup::open(root_.fd(), path));
  CurrentLimits current{.fresh = false};
  TRY(const std::string cpu_max, read_if_there(group, "cpu.max"));
  if (!cpu_max.empty()) current.cpu_max = cpu_max;
  return write_limits(group, writes_of(resources, current));
}

Result<CgroupUsage> Cgroup2::usage_now(const std::string& path) const {
  TRY(const sys::Cgroup group, sys::Cgroup::open(root_.fd(), path));
  TRY(const std::string cpu, read_if_there(group, "cpu.stat"));
  TRY(const std::string memory, read_if_there(group, "memory.current"));
  TRY(const std::string stat, read_if_there(group, "memory.stat"));
  TRY(const std::string events, read_if_there(group, "memory.events"));
  TRY(const std::string pids, read_if_there(group, "pids.current"));
  CgroupUsage usage;
  usage.cpu_ns = parse_flat_keyed(cpu, "usage_usec") * 1000;
  usage.memory_bytes = parse_count(memory);
  usage.memory_working_set_bytes =
      working_set_bytes(usage.memory_bytes, parse_flat_keyed(stat, "inactive_file"));
  usage.oom_killed = parse_flat_keyed(events, "oom_kill") > 0;
  usage.pids = parse_count(pids);
  return usage;
}

Task<void> Cgroup2::prepare_pod(PodCgroup pod) {
  co_await prepare_pod_now(pod);
}

Task<Placement> Cgroup2::prepare(ContainerCgroup container) {
  co_return prepare_now(container);
}

Task<Placement> Cgroup2::placement(std::string pod_id, std::string container_id) {
  co_return place(pod_id, container_id);
}

Task<std::vector<CgroupView>> Cgroup2::views(std::string /*pod_id*/, std::string /*container_id*/) {
  co_return std::vector<CgroupView>();
}

// The init of a shared PID namespace is ours and opens no device: no device program.
Task<Placement> Cgroup2::pod_placement(std::string pod_id) {
  const std::string init(kPodInit);
  const std::string path = co_await path_of(pod_id, init);
  co_await make_cgroup(root_, path);
  // Containers of the pod can join its cgroup namespace.
  const NamespaceRoots::Member member{pod_id, init};
  const std::vector<std::string> handled;
  co_await rest_.make(member, CgroupReach::administrator, handled);
  co_return place(pod_id, init);
}

Task<void> Cgroup2::update(std::string pod_id, std::string container_id, Resources resources) {
  const std::string path = co_await path_of(pod_id, container_id);
  co_await validate(resources);
  // Lowering memory.max reclaims pages, which can take long. Named: GCC 12 copies a temporary
  // lambda of a co_await expression bit by bit.
  auto work = [this, &path, &resources] { return update_now(path, resources); };
  co_await offload(ring_, work);
}

Task<CgroupUsage> Cgroup2::usage(std::string pod_id, std::string container_id) {
  const std::string path = co_await path_of(pod_id, container_id);
  co_return usage_now(path);
}

Task<void> Cgroup2::kill(std::string pod_id, std::string container_id) {
  const std::string path = co_await path_of(pod_id, container_id);
  co_await kill_cgroup(root_, path);
  const NamespaceRoots::Member member{pod_id, container_id};
  if (!rest_.has_freezer(member)) co_return;
  // The container chooses how many groups there are.
  auto thaw = [this, &member] { return rest_.thaw(member); };
  co_await offload(ring_, thaw);
}

Task<void> Cgroup2::cleanup(std::string pod_id, std::string container_id) {
  std::function<Status()> attempt = [this, &pod_id, &container_id] {
    return remove_container(pod_id, container_id);
  };
  co_await remove_when_empty(ring_, std::move(attempt));
}

Task<void> Cgroup2::cleanup_pod(std::string pod_id) {
  const std::string path = co_await path_of_pod(pod_id);
  std::function<Status()> attempt = [this, &pod_id, &path]() -> Status {
    TRY_(remove_container(pod_id, std::string(kPodInit)));
    return remove_cgroup(root_, path);
  };
  co_await remove_when_empty(ring_, std::move(attempt));
  parents_.erase(pod_id);
}

Task<void> Cgroup2::close() {
  const Status removed = rest_.remove_shared();
  if (!removed.ok() && !removed.error().is(Errc::failed_precondition)) {
    log_.warn("cgroup2", removed.error().message());
  }
  co_return;
}

}  // namespace berth::plugins
