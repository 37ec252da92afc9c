// SPDX-License-Identifier: Apache-2.0
// cpuset.cpus and cpuset.mems, the same in both versions.
#include "plugins/resources/policy.h"

namespace berth::plugins {
namespace {

// A list as in cpuset(7): "0-3,5". The kernel checks whether those CPUs exist.
bool is_list(std::string_view text) {
  bool digit_before = false;
  bool in_range = false;
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      digit_before = true;
      continue;
    }
    if (!digit_before || (c == '-' && in_range)) return false;
    if (c != '-' && c != ',') return false;
    in_range = c == '-';
    digit_before = false;
  }
  return digit_before;
}

}  // namespace

Status validate_cpuset(const Resources& resources) {
  if (!resources.cpuset_cpus.empty() && !is_list(resources.cpuset_cpus)) {
    return field_error("cpuset_cpus", resources.cpuset_cpus, "not a list like 0-3,5");
  }
  if (!resources.cpuset_mems.empty() && !is_list(resources.cpuset_mems)) {
    return field_error("cpuset_mems", resources.cpuset_mems, "not a list like 0-3,5");
  }
  return {};
}

std::vector<ControlWrite> cpuset_writes(const Resources& resources) {
  std::vector<ControlWrite> writes;
  if (!resources.cpuset_cpus.empty()) writes.push_back({"cpuset.cpus", resources.cpuset_cpus});
  if (!resources.cpuset_mems.empty()) writes.push_back({"cpuset.mems", resources.cpuset_mems});
  return writes;
}

}  // namespace berth::plugins
