// SPDX-License-Identifier: Apache-2.0
// The mounted hierarchies of a machine, opened. Descriptors are those of the mount points: one for
// each hierarchy, however many pods there are.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"
#include "plugins/resources/cgroup_mounts.h"
#include "plugins/resources/namespace_roots.h"
#include "plugins/resources/policy.h"

namespace berth::plugins {

// One v1 hierarchy with at least one controller that we set limits in. Where not every container
// has a group, it is among Hierarchies::rest too.
struct Hierarchy {
  sys::Cgroup root;
  std::string name;                  // as mounted: "memory", "cpu,cpuacct"
  std::vector<std::string> aliases;  // the controllers' own names where they differ from it
  std::vector<Controller> controllers;
  // Every container has a group here. False: only one that asks for something (cpuset, hugetlb).
  bool always = false;

  bool has(Controller controller) const;
};

struct Hierarchies {
  std::vector<Hierarchy> v1;
  sys::Cgroup devices;  // v1; not valid: devices are not restricted
  sys::Cgroup unified;  // v2; not valid: not mounted
  NamespaceRoots rest;  // where a container may have no limit

  // The hierarchy that has the controller, or nullptr.
  const Hierarchy* find(Controller controller) const;
  // failed_precondition when no hierarchy is mounted at all.
  static Result<Hierarchies> open(const std::vector<CgroupMount>& mounts,
                                  const std::string& own_parent);
};

}  // namespace berth::plugins
