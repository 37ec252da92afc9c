// SPDX-License-Identifier: Apache-2.0
// Checks the cgroup mounts in /proc/self/mountinfo. A machine has cgroup v2, v1, or both with each
// controller in one of them.
#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cri/cli/doctor/check.h"

namespace berth::cli {

namespace {

struct Controller {
  const char* name;     // in cgroup v2
  const char* v1_name;  // in the mount options of cgroup v1
  Health missing;
};

constexpr std::array<Controller, 6> kControllers = {{{"cpu", "cpu", Health::fail},
                                                     {"memory", "memory", Health::fail},
                                                     {"pids", "pids", Health::fail},
                                                     {"cpuset", "cpuset", Health::warn},
                                                     {"io", "blkio", Health::warn},
                                                     {"hugetlb", "hugetlb", Health::warn}}};

struct CgroupMounts {
  std::string v2_path;
  std::map<std::string, std::string> v1_paths;  // by controller
  std::vector<std::string> v1_read_only;        // mount points
};

std::vector<std::string> words(const std::string& text, char separator) {
  std::vector<std::string> found;
  std::stringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);) found.push_back(word);
  return found;
}

bool is_read_only(const std::string& options) {
  const std::vector<std::string> all = words(options, ',');
  return std::find(all.begin(), all.end(), "ro") != all.end();
}

// proc_pid_mountinfo(5): the mount point is field 5; type, source and super options follow " - ".
CgroupMounts cgroup_mounts() {
  CgroupMounts mounts;
  std::ifstream mountinfo("/proc/self/mountinfo");
  for (std::string line; std::getline(mountinfo, line);) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const auto before = words(line.substr(0, dash), ' ');
    const auto after = words(line.substr(dash + 3), ' ');
    if (before.size() < 6 || after.size() < 3) continue;
    if (after[0] == "cgroup2" && mounts.v2_path.empty()) mounts.v2_path = before[4];
    if (after[0] != "cgroup") continue;
    const std::vector<std::string> options = words(after[2], ',');
    for (const std::string& option : options) mounts.v1_paths[option] = before[4];
    if (is_read_only(before[5]) || is_read_only(after[2])) mounts.v1_read_only.push_back(before[4]);
  }
  return mounts;
}

bool has_word(const std::string& text, const std::string& wanted) {
  for (const std::string& word : words(text, ' ')) {
    if (word == wanted) return true;
  }
  return false;
}

void check_controller(const CgroupMounts& mounts, const std::string& v2_controllers,
                      const Controller& controller, HostChecks* checks) {
  const std::string name = std::string("cgroup controller ") + controller.name;
  const auto v1 = mounts.v1_paths.find(controller.v1_name);
  if (!mounts.v2_path.empty() && has_word(v2_controllers, controller.name)) {
    checks->push_back({Health::ok, name + ": v2 at " + mounts.v2_path, ""});
  } else if (v1 != mounts.v1_paths.end()) {
    checks->push_back({Health::ok, name + ": v1 at " + v1->second, ""});
  } else {
    checks->push_back(
        {controller.missing, name + ": nowhere, its limits cannot be set",
         std::string("a kernel with it, or mount it: mount -t cgroup -o ") + controller.v1_name});
  }
}

}  // namespace

void check_cgroup(HostChecks* checks) {
  const CgroupMounts mounts = cgroup_mounts();
  const bool v2 = !mounts.v2_path.empty();
  bool v1 = false;
  for (const Controller& controller : kControllers) {
    v1 = v1 || mounts.v1_paths.contains(controller.v1_name);
  }
  if (v2 && !v1) {
    checks->push_back({Health::ok, "cgroups: v2", ""});
  } else if (v2) {
    checks->push_back({Health::warn, "cgroups: hybrid, controllers on v1",
                       "boot with systemd.unified_cgroup_hierarchy=1 for v2"});
  } else if (v1) {
    checks->push_back({Health::warn, "cgroups: v1 only, no cgroup.kill",
                       "boot with systemd.unified_cgroup_hierarchy=1 for v2"});
  } else {
    checks->push_back(
        {Health::fail, "no cgroup filesystem is mounted", "mount -t cgroup2 none /sys/fs/cgroup"});
    return;
  }
  for (const std::string& path : mounts.v1_read_only) {
    checks->push_back({Health::warn,
                       "cgroup hierarchy " + path +
                           ": read-only; a container that may mount it sees the machine's root",
                       "mount -o remount,rw " + path});
  }
  const std::string v2_controllers =
      v2 ? read_small_file(mounts.v2_path + "/cgroup.controllers") : "";
  for (const Controller& controller : kControllers) {
    check_controller(mounts, v2_controllers, controller, checks);
  }
}

}  // namespace berth::cli
