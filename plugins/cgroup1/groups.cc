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

// KERNEL: a new v1 cpuset has no CPU and no memory node, and no process can enter it (ENOSPC)
// before it has both. So each level takes its parent's where it has none.
Status fill_cpuset(const sys::Cgroup& root, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == std::string::npos ? std::string(".") : path.substr(0, slash);
  TRY(const sys::Cgroup group, sys::Cgroup::open(root.fd(), path));
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    TRY(const std::string present, group.read(file));
    if (!present.empty() && present != "\n") continue;
    if (above != ".") TRY_(fill_cpuset(root, above));
    TRY(const sys::Cgroup parent, sys::Cgroup::open(root.fd(), above));
    TRY(const std::string inherited, parent.read(file));
    TRY_(group.write(file, inherited));
  }
  return {};
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

std::string Groups::path_in(const Hierarchy& hierarchy, const GroupKey& key) const {
  if (cgroup_exists(hierarchy.root, pod_path(key.parent, key.pod_id))) {
    return nested_path(key.parent, key.pod_id, key.container_id);
  }
  return flat_path(key.parent, key.pod_id, key.container_id);
}

std::string Groups::device_path(const GroupKey& key) const {
  return flat_path(own_parent_, key.pod_id, key.container_id);
}

// What is asked for must be possible: a limit that is silently not there is worse than an error.
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
Status Groups::limit_unified(const GroupKey& key, const std::string& path,
                             const Resources& resources) const {
  std::vector<ControlWrite> writes = unified_writes(resources);
  if (all_.find(Controller::hugetlb) == nullptr) {
    for (ControlWrite& write : hugetlb_v2(resources)) writes.push_back(std::move(write));
  }
  if (writes.empty()) return {};
  if (!all_.unified.valid()) {
    if (controllers_of(writes).empty()) return {};
    return make_error(Errc::failed_precondition,
                      "`" + writes.front().file + "` needs cgroup v2, which is not mounted");
  }
  const std::vector<std::string> controllers = controllers_of(writes);
  const bool is_pod = key.container_id.empty();
  if (!controllers.empty()) {
    const std::string above = is_pod ? key.parent : pod_path(key.parent, key.pod_id);
    TRY_(enable_controllers(all_.unified, above, controllers));
  }
  TRY(const sys::Cgroup group, sys::Cgroup::open(all_.unified.fd(), path));
  return write_limits(group, writes);
}

Status Groups::make_pod(const GroupKey& key, const Resources& resources) const {
  TRY_(require_controllers(resources));
  const std::string path = pod_path(key.parent, key.pod_id);
  if (all_.unified.valid()) TRY_(make_cgroup(all_.unified, path));
  TRY_(limit_unified(key, path, resources));
  for (const Hierarchy& hierarchy : all_.v1) {
    if (writes_in(hierarchy, resources, {}).empty()) continue;
    TRY_(make_in(hierarchy, path));
    TRY_(limit(hierarchy, path, resources, true));
  }
  return {};
}

Status Groups::make_leaf(const GroupKey& key) const {
  if (all_.unified.valid()) {
    TRY_(make_cgroup(all_.unified, nested_path(key.parent, key.pod_id, key.container_id)));
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    if (hierarchy.always) TRY_(make_in(hierarchy, path_in(hierarchy, key)));
  }
  return {};
}

Status Groups::make_container(const GroupKey& key, const ContainerCgroup& container) const {
  const Resources& resources = container.resources;
  TRY_(require_controllers(resources));
  const std::string unified_path = nested_path(key.parent, key.pod_id, key.container_id);
  if (all_.unified.valid()) TRY_(make_cgroup(all_.unified, unified_path));
  TRY_(limit_unified(key, unified_path, resources));
  for (const Hierarchy& hierarchy : all_.v1) {
    if (!hierarchy.always && writes_in(hierarchy, resources, {}).empty()) continue;
    const std::string path = path_in(hierarchy, key);
    TRY_(make_in(hierarchy, path));
    TRY_(limit(hierarchy, path, resources, true));
  }
  if (all_.devices.valid() && (container.privileged || !container.devices.empty())) {
    TRY_(make_own_device_group(all_.devices, device_path(key), container.privileged,
                               container.devices));
  }
  return {};
}

Result<Placement> Groups::place(const GroupKey& key) const {
  Placement placement;
  if (all_.unified.valid()) {
    const std::string path = nested_path(key.parent, key.pod_id, key.container_id);
    TRY(const sys::Cgroup group, sys::Cgroup::open(all_.unified.fd(), path));
    TRY(placement.cgroup, group.open_control(".", O_RDONLY | O_DIRECTORY));
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy, key);
    if (!hierarchy.always && !cgroup_exists(hierarchy.root, path)) continue;
    TRY(UniqueFd tasks, hierarchy.root.open_control(path + "/tasks", O_WRONLY));
    placement.v1_tasks.push_back(std::move(tasks));
  }
  if (all_.devices.valid()) {
    std::string path = device_path(key);
    if (!cgroup_exists(all_.devices, path)) path = own_parent_ + "/" + kSharedDeviceGroup;
    TRY(UniqueFd tasks, all_.devices.open_control(path + "/tasks", O_WRONLY));
    placement.v1_tasks.push_back(std::move(tasks));
  }
  return placement;
}

Result<std::vector<CgroupView>> Groups::views(const GroupKey& key) const {
  std::vector<CgroupView> views;
  if (all_.unified.valid()) {
    const std::string path = nested_path(key.parent, key.pod_id, key.container_id);
    TRY(UniqueFd group, all_.unified.open_control(path, O_PATH | O_DIRECTORY));
    views.push_back({"unified", {}, std::move(group)});
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy, key);
    if (!hierarchy.always && !cgroup_exists(hierarchy.root, path)) continue;
    TRY(UniqueFd group, hierarchy.root.open_control(path, O_PATH | O_DIRECTORY));
    views.push_back({hierarchy.name, hierarchy.aliases, std::move(group)});
  }
  return views;
}

// A container that was started without a group in this hierarchy gets one and moves into it. Its
// processes may fork meanwhile, so the list is read again until nobody new is on it.
Status Groups::move_in(const Hierarchy& hierarchy, const std::string& path,
                       const GroupKey& key) const {
  constexpr int kRoundsMax = 16;
  const Hierarchy* const reference = all_.v1.data();
  const std::string from = all_.unified.valid()
                               ? nested_path(key.parent, key.pod_id, key.container_id)
                               : path_in(*reference, key);
  const sys::Cgroup& from_root = all_.unified.valid() ? all_.unified : reference->root;
  TRY(const sys::Cgroup source, sys::Cgroup::open(from_root.fd(), from));
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
  TRY_(limit_unified(key, nested_path(key.parent, key.pod_id, key.container_id), resources));
  for (const Hierarchy& hierarchy : all_.v1) {
    const std::string path = path_in(hierarchy, key);
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
    const std::string path = nested_path(key.parent, key.pod_id, key.container_id);
    TRY(const sys::Cgroup group, sys::Cgroup::open(all_.unified.fd(), path));
    // KERNEL 4.15: v2 accounts CPU time in every group, whether or not it has the cpu controller.
    TRY(const std::string cpu, read_if_there(group, "cpu.stat"));
    usage.cpu_ns = parse_flat_keyed(cpu, "usage_usec") * 1000;
  }
  if (const Hierarchy* memory = all_.find(Controller::memory)) {
    TRY(const sys::Cgroup group, sys::Cgroup::open(memory->root.fd(), path_in(*memory, key)));
    TRY(const std::string bytes, group.read("memory.usage_in_bytes"));
    TRY(const std::string stat, group.read("memory.stat"));
    TRY(const std::string oom, group.read("memory.oom_control"));
    usage.memory_bytes = parse_count(bytes);
    usage.memory_working_set_bytes =
        working_set_bytes(usage.memory_bytes, parse_flat_keyed(stat, "total_inactive_file"));
    usage.oom_killed = parse_flat_keyed(oom, "oom_kill") > 0;
  }
  if (const Hierarchy* pids = all_.find(Controller::pids)) {
    TRY(const sys::Cgroup group, sys::Cgroup::open(pids->root.fd(), path_in(*pids, key)));
    TRY(const std::string count, group.read("pids.current"));
    usage.pids = parse_count(count);
  }
  return usage;
}

Status Groups::kill(const GroupKey& key) const {
  if (all_.unified.valid()) {
    return kill_cgroup(all_.unified, nested_path(key.parent, key.pod_id, key.container_id));
  }
  for (const Hierarchy& hierarchy : all_.v1) {
    if (hierarchy.always) return kill_cgroup(hierarchy.root, path_in(hierarchy, key));
  }
  return {};
}

Status Groups::remove_container(const GroupKey& key) const {
  const std::string nested = nested_path(key.parent, key.pod_id, key.container_id);
  for (const Hierarchy& hierarchy : all_.v1) {
    TRY_(remove_cgroup(hierarchy.root, nested));
    TRY_(remove_cgroup(hierarchy.root, flat_path(key.parent, key.pod_id, key.container_id)));
  }
  if (all_.devices.valid()) TRY_(remove_cgroup(all_.devices, device_path(key)));
  // Last: while this one is there, the container can still be found and killed.
  if (all_.unified.valid()) TRY_(remove_cgroup(all_.unified, nested));
  return {};
}

Status Groups::remove_shared() const {
  if (!all_.devices.valid()) return {};
  return remove_cgroup(all_.devices, own_parent_ + "/" + kSharedDeviceGroup);
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
