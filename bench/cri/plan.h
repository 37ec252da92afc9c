// SPDX-License-Identifier: Apache-2.0
// What one run of berth-bench asks of each runtime.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace berth::bench {

// On every pod the bench makes, so that `clean` finds them.
inline constexpr const char* kBenchLabel = "berth.io/bench";
// No call of a healthy runtime takes longer on a loaded machine.
inline constexpr std::chrono::seconds kCallTimeout{120};

struct Plan {
  std::vector<std::string> endpoints;
  std::vector<std::string> names;  // by endpoint; where missing, the runtime's own
  std::string image;
  std::string network = "pod";
  std::string cgroup_parent;
  std::string runtime_handler;
  std::string log_root = "/var/log/berth/bench";
  std::vector<std::string> command = {"sleep", "3600"};
  int pods = 50;
  int parallel = 1;
  int rounds = 0;  // 0: five with several endpoints, else one
  int warmup = 1;  // pods per endpoint that are not counted
  std::uint64_t seed = 1;
  std::int64_t grace_s = 0;  // of StopContainer
  bool keep = false;
};

}  // namespace berth::bench
