// SPDX-License-Identifier: Apache-2.0
// Where the cgroup hierarchies are mounted, from the text of /proc/self/mountinfo, and which others
// exist, from that of /proc/self/cgroup (proc(5), cgroups(7)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"
#include "plugins/resources/policy.h"

namespace berth::plugins {

struct CgroupMount {
  std::string mount_point{};  // empty: the hierarchy exists and is not mounted here
  CgroupVersion version = CgroupVersion::v2;
  // v1: the controllers that share this hierarchy ("cpu", "cpuacct"). v2: empty here; they are
  // in its cgroup.controllers.
  std::vector<std::string> controllers{};
  std::string label{};     // v1: the name of a named hierarchy, "systemd" of name=systemd
  bool read_only = false;  // the mount or the filesystem

  bool has(std::string_view controller) const;
  // v1: one in which berth sets limits. False: named alone, freezer, blkio, devices and the like.
  bool has_limits() const;
  // The last part of the mount point, else the controllers or the label: "cpu,cpuacct".
  std::string name() const;
};

// In the order of the table; lines that are not cgroups or not readable are passed over. Of several
// mounts of one hierarchy the first counts that may be written, or else the first.
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
// The v1 hierarchies that the text of /proc/self/cgroup lists and `mounts` lacks.
std::vector<CgroupMount> unmounted_hierarchies(std::string_view cgroup,
                                               const std::vector<CgroupMount>& mounts);
// All hierarchies of the machine, those that are not mounted here at the end.
Result<std::vector<CgroupMount>> read_cgroup_mounts();

// The root directory. A hierarchy that is not mounted is mounted detached for this.
Result<sys::Cgroup> open_hierarchy(const CgroupMount& mount);

// Words of a space separated list, as in cgroup.controllers.
std::vector<std::string> split_words(std::string_view text, char separator = ' ');

}  // namespace berth::plugins
