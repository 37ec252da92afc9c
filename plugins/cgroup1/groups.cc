// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup1/groups.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "plugins/cgroup1/device_groups.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"
#include "plugins/resources/policy.h"
#include "plugins/resources/usage.h"

namespace berth::plugins {
namespace {

// All v1 controllers' files of one hierarchy, in order.
std::vector<ControlWrite> writes_in(const Hierarchy& hierarchy, const Resources& resources,
                                    const CurrentLimits& current) {
  std::vector<ControlWrite> all;
  for (const Controller controller : hierarchy.controllers) {
    for (ControlWrite& write : control_writes(controller, CgroupVersion::v1, resources, current)) {
      all.push_back(std::move(write));
    }
  }
  return all;
}

Status make_in(const Hierarchy& hierarchy, const std::string& path) {
  TRY_(make_cgroup(hierarchy.root, path));
  if (hierarchy.has(Controller::cpuset)) TRY_(fill_cpuset(hierarchy.root, path));
  return {};
}

// "memory" of "memory.high": the v2 controllers that must be enabled for these writes to be
// possible.
std::vector<std::string> controllers_of(const std::vector<ControlWrite>& writes) {
  std::vector<std::string> names;
  for (const ControlWrite& write : writes) {
    std::string name = write.file.substr(0, write.file.find('.'));
    const bool listed = std::find(names.begin(), names.end(), name) != names.end();
    if (!write.may_be_missing && !listed) names.push_back(std::move(name));
  }
  return names;
}

Result<std::string> read_if_there(const sys::Cgroup& group, const char* file) {
  Result<std::string> text = group.read(file);
  if (!text.ok() && text.error().sys_errno == ENOENT) return std::string();
  return text;
}

}  // namespace

std::string Groups::path_in(const sys::Cgroup& root, const GroupKey& key) {
  if (cgroup_exists(root, pod_path(key.parent, key.pod_id))) {
    return nested_path(key.parent, key.pod_id, key.container_id);
  }
  return flat_path(key.parent, key.pod_id, key.container_id);
}

std::string Groups::device_path(const GroupKey& key) const {
  return flat_path(own_parent_, key.pod_id, key.container_id);
}

std::string Groups::guarded_device_path(const GroupKey& key) const {
  return flat_path(own_parent_ + "/" + kGuardedDeviceGroup, key.pod_id, key.container_id);
}

// A limit that cannot be set is an error: leaving it out silently would be worse.
Status Groups::require_controllers(const Resources& resources) const {
  for (const Controller controller :
       {Controller::cpu, Controller::cpuset, Controller::memory, Controller::pids}) {
    if (all_.find(controller) != nullptr) continue;
    if (control_writes(controller, CgroupVersion::v1, resources, {}).empty()) continue;
    return make_error(Errc::failed_precondition, std::string("controller ") +
                                                     controller_name(controller) +
                                                     " is mounted in no v1 hierarchy");
  }
  return {};
}

Status Groups::limit(const Hierarchy& hierarchy, const std::string& path,
                     const Resources& resources, bool fresh) const {
  CurrentLimits current{.fresh = fresh};
  if (writes_in(hierarchy, resources, current).empty()) return {};
  TRY(const sys::Cgroup group, sys::Cgroup::open(hierarchy.root.fd(), path));
  if (!fresh && hierarchy.has(Controller::memory)) {
    TRY(const std::string limit_text, group.read("memory.limit_in_bytes"));
    current.memory_limit_in_bytes = static_cast<std::int64_t>(parse_count(limit_text));
  }
  return write_limits(group, writes_in(hierarchy, resources, current));
}

// hugetlb where it is not on v1, and the unified map: on the v2 side.
std::vector<ControlWrite> Groups::writes_in_unified(const Resources& resources) const {
  std::vector<ControlWrite> writes = unified_writes(resources);
  if (all_.find(Controller::hugetlb) == nullptr) {
    for (ControlWrite& write : hugetlb_v2(resources)) writes.push_back(std::move(write));
  }
  return writes;
}

Status Groups::limit_unified(const std::string& path,
                             const std::vector<ControlWrite>& writes) const {
  if (writes.empty()) return {};
  if (!all_.unified.valid()) {
    if (controllers_of(writes).empty()) return {};
    return make_error(Errc::failed_precondition,
                      "`" + writes.front().file + "` needs cgroup v2, which is not mounted");
  }
  const std::vector<std::string> controllers = controllers_of(writes);
  if (!controllers.empty()) {
    const std::string above = path.substr(0, path.rfind('/'));
    TRY_(enable_controllers(all_.unified, above, controllers));
  }
  TRY(const sys::Cgroup group, sys::Cgroup::open(all_.unified.fd(), path));
  return write_limits(group, writes);
}

Status Groups::make_pod(const GroupKey& key, const Resources& resources) const {
  TRY_(require_controllers(resources));
  const std::string path = pod_path(key.parent, key.pod_id);
  const std::vector<ControlWrite> unified = writes_in_unified(resources);
  if (all_.unified.valid() && !unified.empty()) TRY_(make_cgroup(all_.unified, path));
  TRY_(limit_unified(path, unified));
  for (const Hierarchy& hierarchy : all_.v1) {
    if (writes_in(hierarchy, resources, {}).empty()) continue;
    TRY_(make_in(hierarchy, path));
    TRY_(limit(hierarchy, path, resources, true));
  }
  return {};
}

Status Groups::make_leaf(const GroupKey& key) const {
  if (all_.unified.valid()) TRY_(make_cgroup(all_.unified, path_in(all_.unified, key)));
  for (const Hierarchy& hierarchy : all_.v1) {
    if (hierarchy.always) TRY_(make_in(hierarchy, path_in(hierarchy.root, key)));
  }
  // Containers of the pod can join its cgroup namespace.
  constexpr CgroupReach kReach = CgroupReach::administrator;
  TRY_(all_.rest.make({key.pod_id, key.container_id}, kReach, {}));
  if (!all_.devices.valid()) return {};
  return make_cgroup(all_.devices, guarded_device_path(key));
}

Status Groups::make_container(const GroupKey& key, const ContainerCgroup& container) const {
  const Resources& resources = container.resources;
  TRY_(require_controllers(resources));
  if (all_.unified.valid()) {
    const std::string path = path_in(all_.unified, key);
    TRY_(make_cgroup(all_.unified, path));
    TRY_(limit_unified(path, writes_in_unified(resources)));
  } else {
    TRY_(limit_unified({}, writes_in_unified(resources)));
  }
  std::vector<std::string> handled;
  for (const Hierarchy& hierarchy : all_.v1) {
    if (!hierarchy.always && writes_in(hierarchy, resources, {}).empty()) continue;
    const std::string path = path_in(hierarchy.root, key);
    TRY_(make_in(hierarchy, path));
    TRY_(limit(hierarchy, path, resources, true));
    handled.push_back(hierarchy.name);
  }
  TRY_(all_.rest.make({key.pod_id, key.container_id}, container.reach, handled));
  return make_device_group(key, container);
}

Status Groups::make_device_group(const GroupKey& key, const ContainerCgroup& container) const {
  if (!all_.devices.valid()) return {};
  if (container.privileged || !container.devices.empty()) {
    return make_own_device_group(all_.devices, device_path(key), container.privileged,
                                 container.devices);
  }
  if (container.reach != CgroupReach::administrator) return {};
  return make_cgroup(all_.devices, guarded_device_path(key));
}

Result<Placement> Groups::place(const GroupKey& key) const {
  Placement placement;
  if (all_.unified.valid()) {
    const std::string path = path_in(all_.unified, key);
    TRY(placement.cgroup, all_.unified.open_control(path, O_RDONLY | O_DIRECTORY));
  }
  std::vector<std::string> handled;
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy.root, key);
    if (!hierarchy.always && !cgroup_exists(hierarchy.root, path)) continue;
    TRY(UniqueFd tasks, hierarchy.root.open_control(path + "/tasks", O_WRONLY));
    placement.v1_tasks.push_back(std::move(tasks));
    handled.push_back(hierarchy.name);
  }
  TRY_(all_.rest.place({key.pod_id, key.container_id}, handled, placement.v1_tasks));
  if (all_.devices.valid()) {
    std::string path = device_path(key);
    if (!cgroup_exists(all_.devices, path)) path = guarded_device_path(key);
    if (!cgroup_exists(all_.devices, path)) path = own_parent_ + "/" + kSharedGroup;
    TRY(UniqueFd tasks, all_.devices.open_control(path + "/tasks", O_WRONLY));
    placement.v1_tasks.push_back(std::move(tasks));
  }
  return placement;
}

Result<std::vector<CgroupView>> Groups::views(const GroupKey& key) const {
  std::vector<CgroupView> views;
  if (all_.unified.valid()) {
    const std::string path = path_in(all_.unified, key);
    TRY(UniqueFd group, all_.unified.open_control(path, O_PATH | O_DIRECTORY));
    views.push_back({"unified", {}, std::move(group)});
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy.root, key);
    if (!hierarchy.always && !cgroup_exists(hierarchy.root, path)) continue;
    TRY(UniqueFd group, hierarchy.root.open_control(path, O_PATH | O_DIRECTORY));
    views.push_back({hierarchy.name, hierarchy.aliases, std::move(group)});
  }
  return views;
}

// A container that was started without a group in this hierarchy gets one and moves into it. Its
// processes may fork meanwhile, so the list is read again until it has no new process.
Status Groups::move_in(const Hierarchy& hierarchy, const std::string& path,
                       const GroupKey& key) const {
  constexpr int kRoundsMax = 16;
  const Hierarchy* const reference = all_.v1.data();
  const sys::Cgroup& from_root = all_.unified.valid() ? all_.unified : reference->root;
  TRY(const sys::Cgroup source, sys::Cgroup::open(from_root.fd(), path_in(from_root, key)));
  TRY(const sys::Cgroup target, sys::Cgroup::open(hierarchy.root.fd(), path));
  for (int round = 0; round < kRoundsMax; ++round) {
    TRY(const std::vector<pid_t> there, target.procs());
    TRY(const std::vector<pid_t> all, source.procs());
    bool moved = false;
    for (const pid_t pid : all) {
      if (std::find(there.begin(), there.end(), pid) != there.end()) continue;
      const Status written = target.write("cgroup.procs", std::to_string(pid));
      if (!written.ok() && written.error().sys_errno != ESRCH) return written.error();
      moved = true;
    }
    if (!moved) return {};
  }
  return make_error(Errc::aborted,
                    "processes of `" + path + "` fork faster than they can be moved");
}

Status Groups::update(const GroupKey& key, const Resources& resources) const {
  TRY_(require_controllers(resources));
  const std::vector<ControlWrite> unified = writes_in_unified(resources);
  TRY_(limit_unified(all_.unified.valid() ? path_in(all_.unified, key) : "", unified));
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy.root, key);
    if (writes_in(hierarchy, resources, {.fresh = false}).empty()) continue;
    const bool made_now = !hierarchy.always && !cgroup_exists(hierarchy.root, path);
    if (made_now) TRY_(make_in(hierarchy, path));
    TRY_(limit(hierarchy, path, resources, made_now));
    if (made_now) TRY_(move_in(hierarchy, path, key));
  }
  return {};
}

Result<CgroupUsage> Groups::usage(const GroupKey& key) const {
  CgroupUsage usage;
  if (all_.unified.valid()) {
    const std::string path = path_in(all_.unified, key);
    TRY(const sys::Cgroup group, sys::Cgroup::open(all_.unified.fd(), path));
    // KERNEL 4.15: v2 accounts CPU time in every group, whether or not it has the cpu controller.
    // Proof: tests/kernel/cgroup2_cpu_time_test.cc.
    TRY(const std::string cpu, read_if_there(group, "cpu.stat"));
    usage.cpu_ns = parse_flat_keyed(cpu, "usage_usec") * 1000;
  }
  if (const Hierarchy* memory = all_.find(Controller::memory)) {
    TRY(const sys::Cgroup group, sys::Cgroup::open(memory->root.fd(), path_in(memory->root, key)));
    TRY(const std::string bytes, group.read("memory.usage_in_bytes"));
    TRY(const std::string stat, group.read("memory.stat"));
    TRY(const std::string oom, group.read("memory.oom_control"));
    usage.memory_bytes = parse_count(bytes);
    usage.memory_working_set_bytes =
        working_set_bytes(usage.memory_bytes, parse_flat_keyed(stat, "total_inactive_file"));
    usage.oom_killed = parse_flat_keyed(oom, "oom_kill") > 0;
  }
  if (const Hierarchy* pids = all_.find(Controller::pids)) {
    TRY(const sys::Cgroup group, sys::Cgroup::open(pids->root.fd(), path_in(pids->root, key)));
    TRY(const std::string count, group.read("pids.current"));
    usage.pids = parse_count(count);
  }
  return usage;
}

Status Groups::kill(const GroupKey& key) const {
  if (all_.unified.valid()) {
    return kill_cgroup(all_.unified, path_in(all_.unified, key));
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    if (hierarchy.always) return kill_cgroup(hierarchy.root, path_in(hierarchy.root, key));
  }
  return {};
}

Status Groups::remove_container(const GroupKey& key) const {
  const std::string nested = nested_path(key.parent, key.pod_id, key.container_id);
  const std::string flat = flat_path(key.parent, key.pod_id, key.container_id);
  for (const Hierarchy& hierarchy : all_.v1) {
    TRY_(remove_cgroup(hierarchy.root, nested));
    TRY_(remove_cgroup(hierarchy.root, flat));
  }
  TRY_(all_.rest.remove({key.pod_id, key.container_id}));
  if (all_.devices.valid()) {
    TRY_(remove_cgroup(all_.devices, device_path(key)));
    TRY_(remove_cgroup(all_.devices, guarded_device_path(key)));
    TRY_(sweep_shared_group(all_.devices, own_parent_));
  }
  // Last: while this one is there, the container can still be found and killed.
  if (!all_.unified.valid()) return {};
  TRY_(remove_cgroup(all_.unified, nested));
  return remove_cgroup(all_.unified, flat);
}

Status Groups::make_shared_devices() const {
  if (!all_.devices.valid()) return {};
  TRY_(make_default_device_group(all_.devices, own_parent_ + "/" + kSharedGroup));
  TRY_(make_default_device_group(all_.devices, own_parent_ + "/" + kGuardedDeviceGroup));
  return sweep_shared_group(all_.devices, own_parent_);
}

Status Groups::remove_shared() const {
  TRY_(all_.rest.remove_shared());
  if (!all_.devices.valid()) return {};
  // The directory itself has no process; the groups below it have.
  TRY_(remove_cgroup(all_.devices, own_parent_ + "/" + kGuardedDeviceGroup));
  return remove_cgroup(all_.devices, own_parent_ + "/" + kSharedGroup);
}

Status Groups::remove_pod(const GroupKey& key) const {
  const GroupKey init{key.parent, key.pod_id, std::string(kPodInit)};
  TRY_(remove_container(init));
  const std::string path = pod_path(key.parent, key.pod_id);
  for (const Hierarchy& hierarchy : all_.v1) TRY_(remove_cgroup(hierarchy.root, path));
  if (all_.unified.valid()) TRY_(remove_cgroup(all_.unified, path));
  return {};
}

}  // namespace berth::plugins
