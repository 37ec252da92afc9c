// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup1/device_groups.h"

#include <algorithm>

#include "plugins/resources/cgroup_mounts.h"
#include "plugins/resources/cgroup_tree.h"
#include "plugins/resources/devices.h"

namespace berth::plugins {
namespace {

std::vector<std::string> default_rules() {
  std::vector<std::string> rules;
  for (const DeviceRule& rule : kDefaultDevices) rules.push_back(device_rule_text(rule));
  return rules;
}

// A new group has its parent's rights, everything as a rule; after denying all, rules add up.
Status write_rules(const sys::Cgroup& group, const std::vector<std::string>& rules) {
  TRY_(group.write("devices.deny", "a"));
  for (const std::string& rule : rules) TRY_(group.write("devices.allow", rule));
  return {};
}

}  // namespace

Status make_default_device_group(const sys::Cgroup& devices, const std::string& path) {
  TRY_(make_cgroup(devices, path));
  TRY(const sys::Cgroup group, sys::Cgroup::open(devices.fd(), path));
  // Containers of an earlier agent may be inside: rules are not taken away and given back under
  // them.
  TRY(const std::string text, group.read("devices.list"));
  std::vector<std::string> present = split_words(text, '\n');
  std::vector<std::string> wanted = default_rules();
  std::sort(present.begin(), present.end());
  std::sort(wanted.begin(), wanted.end());
  if (present == wanted) return {};
  return write_rules(group, wanted);
}

Status make_own_device_group(const sys::Cgroup& devices, const std::string& path, bool privileged,
                             const std::vector<std::string>& rules) {
  TRY_(make_cgroup(devices, path));
  if (privileged) return {};
  TRY(const sys::Cgroup group, sys::Cgroup::open(devices.fd(), path));
  std::vector<std::string> all = default_rules();
  all.insert(all.end(), rules.begin(), rules.end());
  return write_rules(group, all);
}

}  // namespace berth::plugins
