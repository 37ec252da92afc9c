// SPDX-License-Identifier: Apache-2.0
// Where the cgroup hierarchies are mounted, from the text of /proc/self/mountinfo (proc(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "plugins/resources/policy.h"

namespace berth::plugins {

struct CgroupMount {
  std::string mount_point;
  CgroupVersion version = CgroupVersion::v2;
  // v1: the controllers that share this hierarchy ("cpu", "cpuacct"). v2: empty here; they are
  // in its cgroup.controllers.
  std::vector<std::string> controllers;

  bool has(std::string_view controller) const;
};

// In the order of the table; lines that are not cgroups or not readable are passed over. Of several
// mounts of one hierarchy the first counts.
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
Result<std::vector<CgroupMount>> read_cgroup_mounts();

// Words of a space separated list, as in cgroup.controllers.
std::vector<std::string> split_words(std::string_view text, char separator = ' ');

}  // namespace berth::plugins
