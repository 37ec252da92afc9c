// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/namespace_roots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <utility>

#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/cgroup_tree.h"

namespace berth::plugins {
namespace {

// A named hierarchy has no files but the list of processes, and cpuacct only counts.
bool is_harmless(const CgroupMount& mount) {
  return std::all_of(mount.controllers.begin(), mount.controllers.end(),
                     [](const std::string& controller) { return controller == "cpuacct"; });
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Status sweep_shared_group(const sys::Cgroup& root, const std::string& own_parent) {
  const std::string path = own_parent + "/" + kSharedGroup;
  // Two links of its own and one for each group in it: mostly there is nothing to do.
  struct stat status {};
  if (::fstatat(root.fd(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    return sys_error(errno, "stat", root.name() + "/" + path);
  }
  if (status.st_nlink <= 2) return {};
  TRY(const std::vector<std::string> names, child_names(root, path));
  for (const std::string& name : names) {
    const Status removed = remove_cgroup(root, path + "/" + name);
    // A container that lives is in it.
    if (!removed.ok() && !removed.error().is(Errc::failed_precondition)) return removed;
  }
  return {};
}

void NamespaceRoots::add(const CgroupMount& mount) {
  Hierarchy hierarchy;
  hierarchy.name = mount.name();
  hierarchy.has_cpuset = mount.has("cpuset");
  hierarchy.has_freezer = mount.has("freezer");
  hierarchy.harmless = is_harmless(mount);
  Result<sys::Cgroup> root = open_hierarchy(mount);
  if (root.ok()) {
    hierarchy.root = std::move(root).value();
  } else {
    hierarchy.fault = root.error().message();
  }
  all_.push_back(std::move(hierarchy));
}

std::string NamespaceRoots::own_path(const Member& member) const {
  return flat_path(own_parent_, member.pod_id, member.container_id);
}

Status NamespaceRoots::make_shared_in(const Hierarchy& hierarchy) const {
  TRY_(make_cgroup(hierarchy.root, own_parent_));
  if (hierarchy.has_cpuset) {
    TRY_(fill_cpuset(hierarchy.root, own_parent_));
    TRY(const sys::Cgroup parent, sys::Cgroup::open(hierarchy.root.fd(), own_parent_));
    TRY_(parent.write("cgroup.clone_children", "1"));
  }
  TRY_(make_cgroup(hierarchy.root, shared_path()));
  if (hierarchy.has_cpuset) TRY_(fill_cpuset(hierarchy.root, shared_path()));
  // Says whether a process may be put there.
  TRY(const UniqueFd tasks, hierarchy.root.open_control(shared_path() + "/tasks", O_WRONLY));
  static_cast<void>(tasks);
  return {};
}

std::vector<std::string> NamespaceRoots::make_shared() {
  std::vector<std::string> faults;
  for (Hierarchy& hierarchy : all_) {
    if (hierarchy.root.valid()) {
      const Status made = make_shared_in(hierarchy);
      hierarchy.fault = made.ok() ? std::string() : made.error().message();
    }
    if (hierarchy.fault.empty()) continue;
    faults.push_back("hierarchy `" + hierarchy.name +
                     "`: containers cannot be put into groups of their own (" + hierarchy.fault +
                     "); one that may mount cgroup filesystems sees the keeper's group there");
  }
  return faults;
}

Status NamespaceRoots::make(const Member& member, CgroupReach reach,
                            const std::vector<std::string>& handled) const {
  if (reach == CgroupReach::none) return {};
  const std::string path = own_path(member);
  for (const Hierarchy& hierarchy : all_) {
    if (!hierarchy.fault.empty() || contains(handled, hierarchy.name)) continue;
    if (hierarchy.harmless && reach != CgroupReach::administrator) continue;
    TRY_(make_cgroup(hierarchy.root, path));
    if (hierarchy.has_cpuset) TRY_(fill_cpuset(hierarchy.root, path));
  }
  return {};
}

Status NamespaceRoots::place(const Member& member, const std::vector<std::string>& handled,
                             std::vector<UniqueFd>& tasks) const {
  const std::string own = own_path(member) + "/tasks";
  for (const Hierarchy& hierarchy : all_) {
    if (!hierarchy.fault.empty() || contains(handled, hierarchy.name)) continue;
    Result<UniqueFd> file = hierarchy.root.open_control(own, O_WRONLY);
    if (!file.ok() && file.error().sys_errno == ENOENT) {
      file = hierarchy.root.open_control(shared_path() + "/tasks", O_WRONLY);
    }
    TRY(UniqueFd opened, std::move(file));
    tasks.push_back(std::move(opened));
  }
  return {};
}

bool NamespaceRoots::has_freezer(const Member& member) const {
  return std::any_of(all_.begin(), all_.end(), [&](const Hierarchy& hierarchy) {
    return hierarchy.has_freezer && hierarchy.fault.empty() &&
           cgroup_exists(hierarchy.root, own_path(member));
  });
}

Status NamespaceRoots::thaw(const Member& member) const {
  for (const Hierarchy& hierarchy : all_) {
    if (hierarchy.has_freezer && hierarchy.fault.empty()) {
      TRY_(thaw_cgroup(hierarchy.root, own_path(member)));
    }
  }
  return {};
}

Status NamespaceRoots::remove(const Member& member) const {
  const std::string path = own_path(member);
  for (const Hierarchy& hierarchy : all_) {
    if (hierarchy.fault.empty()) TRY_(remove_cgroup(hierarchy.root, path));
  }
  return sweep();
}

Status NamespaceRoots::remove_shared() const {
  for (const Hierarchy& hierarchy : all_) {
    if (hierarchy.fault.empty()) TRY_(remove_cgroup(hierarchy.root, shared_path()));
  }
  return {};
}

Result<std::vector<NamespaceRoots::Member>> NamespaceRoots::members() const {
  std::set<std::pair<std::string, std::string>> found;
  for (const sys::Cgroup* root : roots()) {
    TRY(const std::vector<std::string> names, child_names(*root, own_parent_));
    for (const std::string& name : names) {
      CgroupName parsed = parse_cgroup_name(name);
      if (parsed.container_id.empty()) continue;
      found.emplace(std::move(parsed.pod_id), std::move(parsed.container_id));
    }
  }
  std::vector<Member> members;
  for (const auto& [pod, container] : found) members.push_back({pod, container});
  return members;
}

std::vector<const sys::Cgroup*> NamespaceRoots::roots() const {
  std::vector<const sys::Cgroup*> roots;
  for (const Hierarchy& hierarchy : all_) {
    if (hierarchy.fault.empty()) roots.push_back(&hierarchy.root);
  }
  return roots;
}

Status NamespaceRoots::sweep() const {
  for (const Hierarchy& hierarchy : all_) {
    if (hierarchy.fault.empty()) TRY_(sweep_shared_group(hierarchy.root, own_parent_));
  }
  return {};
}

}  // namespace berth::plugins
