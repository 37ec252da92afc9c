// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/policy.h"

namespace berth::plugins {

const char* controller_name(Controller controller) noexcept {
  switch (controller) {
    case Controller::cpu:
      return "cpu";
    case Controller::cpuset:
      return "cpuset";
    case Controller::memory:
      return "memory";
    case Controller::pids:
      return "pids";
    case Controller::hugetlb:
      return "hugetlb";
    case Controller::unified:
      return "unified";
  }
  return "unknown";
}

Error field_error(std::string_view field, std::string_view value, std::string_view why) {
  std::string sentence = "linux.resources.";
  sentence.append(field).append(" `").append(value).append("`: ").append(why);
  return make_error(Errc::invalid_argument, std::move(sentence));
}

Status validate(const Resources& resources) {
  TRY_(validate_cpu(resources));
  TRY_(validate_cpuset(resources));
  TRY_(validate_memory(resources));
  TRY_(validate_pids(resources));
  TRY_(validate_hugetlb(resources));
  return validate_unified(resources);
}

std::vector<ControlWrite> control_writes(Controller controller, CgroupVersion version,
                                         const Resources& resources, const CurrentLimits& current) {
  const bool v1 = version == CgroupVersion::v1;
  switch (controller) {
    case Controller::cpu:
      return v1 ? cpu_v1(resources, current) : cpu_v2(resources, current);
    case Controller::cpuset:
      return cpuset_writes(resources);
    case Controller::memory:
      return v1 ? memory_v1(resources, current) : memory_v2(resources);
    case Controller::pids:
      return pids_writes(resources);
    case Controller::hugetlb:
      return v1 ? hugetlb_v1(resources) : hugetlb_v2(resources);
    case Controller::unified:
      return v1 ? std::vector<ControlWrite>() : unified_writes(resources);
  }
  return {};
}

}  // namespace berth::plugins
