// SPDX-License-Identifier: Apache-2.0
// From the CRI's numbers to control files. Pure: nothing here reads or writes the kernel.
//
// validate() comes first and names the CRI field that is wrong (invalid_argument); the others
// assume that it passed. The order of the list is the order of the writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/resources.h"

namespace berth::plugins {

enum class Controller { cpu, cpuset, memory, pids, hugetlb, unified };
const char* controller_name(Controller controller) noexcept;

enum class CgroupVersion { v1, v2 };

struct ControlWrite {
  std::string file;
  std::string value;
  // The file may be missing on a kernel that was built or booted without the feature (memsw): then
  // the write is left out.
  bool may_be_missing = false;

  friend bool operator==(const ControlWrite&, const ControlWrite&) = default;
};

// What a group has now, where the order or the value of a write depends on it. Default: a new
// group.
struct CurrentLimits {
  bool fresh = true;
  std::string cpu_max = "max 100000";  // v2 cpu.max
  // v1 memory.limit_in_bytes; a new group has no limit.
  std::int64_t memory_limit_in_bytes = 0x7ffffffffffff000;
};

Status validate(const Resources& resources);
// The files of one controller where it is mounted as `version`. Nothing asked: an empty list.
std::vector<ControlWrite> control_writes(Controller controller, CgroupVersion version,
                                         const Resources& resources, const CurrentLimits& current);

// The parts, one per controller.
Status validate_cpu(const Resources& resources);
Status validate_memory(const Resources& resources);
Status validate_pids(const Resources& resources);
Status validate_cpuset(const Resources& resources);
Status validate_hugetlb(const Resources& resources);
Status validate_unified(const Resources& resources);
std::vector<ControlWrite> cpu_v1(const Resources& resources, const CurrentLimits& current);
std::vector<ControlWrite> cpu_v2(const Resources& resources, const CurrentLimits& current);
std::vector<ControlWrite> memory_v1(const Resources& resources, const CurrentLimits& current);
std::vector<ControlWrite> memory_v2(const Resources& resources);
std::vector<ControlWrite> pids_writes(const Resources& resources);
std::vector<ControlWrite> cpuset_writes(const Resources& resources);
std::vector<ControlWrite> hugetlb_v1(const Resources& resources);
std::vector<ControlWrite> hugetlb_v2(const Resources& resources);
std::vector<ControlWrite> unified_writes(const Resources& resources);

// cpu.shares (2..262144, 1024 is one CPU's worth by Kubernetes' convention) to cpu.weight
// (1..10000, 100 is the default). The curve goes through (2,1), (1024,100), (262144,10000): a
// straight line would give a container that asks for one CPU a weight of 39 beside system services
// that have 100.
unsigned weight_from_shares(std::int64_t shares);

// "linux.resources.cpu_quota -5: ..." with invalid_argument.
Error field_error(std::string_view field, std::string_view value, std::string_view why);

}  // namespace berth::plugins
