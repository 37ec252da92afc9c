// SPDX-License-Identifier: Apache-2.0
// pids.max, the same in both versions.
#include "plugins/resources/policy.h"

namespace berth::plugins {

Status validate_pids(const Resources& resources) {
  // KERNEL: the largest number of processes is 2^22; pids.max refuses more with EINVAL.
  if (resources.pids_limit < -1 || resources.pids_limit > (1 << 22)) {
    return field_error("pids_limit", std::to_string(resources.pids_limit),
                       "not within 1 to 4194304, and not -1 for no limit");
  }
  return {};
}

std::vector<ControlWrite> pids_writes(const Resources& resources) {
  if (resources.pids_limit == 0) return {};
  const bool none = resources.pids_limit < 0;
  return {{"pids.max", none ? "max" : std::to_string(resources.pids_limit)}};
}

}  // namespace berth::plugins
