// SPDX-License-Identifier: Apache-2.0
// The stage times an agent reports in the verbose info["stages"] of PodSandboxStatus and
// ContainerStatus:
// [{"rpc": "RunPodSandbox", "total_us": 512, "in_progress": false,
//   "stages": [{"name": "network.attach", "us": 300}]}]
// A stage may have "steps", with a name and a time each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace berth::cli {

struct Stage {
  std::string name;
  std::int64_t us = 0;
  std::vector<Stage> steps{};
};

struct CallTimes {
  std::string rpc;
  std::string of;  // the container's name; empty for the sandbox
  std::int64_t total_us = 0;
  bool in_progress = false;
  std::vector<Stage> stages;
};

inline constexpr const char* kStagesKey = "stages";

// `of` is set in every element.
Result<std::vector<CallTimes>> parse_stages(const std::string& json, const std::string& of);

// One line per call and stage: µs aligned right, and the stage's share of its call. The time
// outside all stages is shown as "(between stages)". A running call shows its current stage.
std::string stage_tree(const std::vector<CallTimes>& calls);

}  // namespace berth::cli
