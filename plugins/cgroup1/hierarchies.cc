// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup1/hierarchies.h"

#include <algorithm>
#include <utility>

namespace berth::plugins {

bool Hierarchy::has(Controller controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

const Hierarchy* Hierarchies::find(Controller controller) const {
  for (const Hierarchy& hierarchy : v1) {
    if (hierarchy.has(controller)) return &hierarchy;
  }
  return nullptr;
}

Result<Hierarchies> Hierarchies::open(const std::vector<CgroupMount>& mounts,
                                      const std::string& own_parent) {
  Hierarchies all{.v1 = {}, .devices = {}, .unified = {}, .rest = NamespaceRoots(own_parent)};
  for (const CgroupMount& mount : mounts) {
    if (mount.version == CgroupVersion::v1 && !mount.has_limits() && !mount.has("devices")) {
      all.rest.add(mount);
      continue;
    }
    TRY(sys::Cgroup root, open_hierarchy(mount));
    if (mount.version == CgroupVersion::v2) {
      all.unified = std::move(root);
      continue;
    }
    Hierarchy hierarchy;
    for (const Controller controller : {Controller::cpu, Controller::cpuset, Controller::memory,
                                        Controller::pids, Controller::hugetlb}) {
      if (mount.has(controller_name(controller))) hierarchy.controllers.push_back(controller);
    }
    // KERNEL: a hierarchy has one tree, so devices mounted together with a limit would need a
    // device group for each container. No known system does; devices stay unrestricted then.
    if (hierarchy.controllers.empty()) {
      all.devices = std::move(root);
      continue;
    }
    hierarchy.always = hierarchy.has(Controller::cpu) || hierarchy.has(Controller::memory) ||
                       hierarchy.has(Controller::pids);
    if (!hierarchy.always) all.rest.add(mount);
    hierarchy.name = mount.name();
    for (const std::string& controller : mount.controllers) {
      if (controller != hierarchy.name) hierarchy.aliases.push_back(controller);
    }
    hierarchy.root = std::move(root);
    all.v1.push_back(std::move(hierarchy));
  }
  if (all.v1.empty() && !all.unified.valid()) {
    return make_error(Errc::failed_precondition,
                      "no cgroup hierarchy is mounted in this mount namespace");
  }
  return all;
}

}  // namespace berth::plugins
