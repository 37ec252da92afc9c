// SPDX-License-Identifier: Apache-2.0
// The options of one run of berth-bench; the same work is requested from each runtime.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace berth::bench {

// The label of every pod of the bench, by which `clean` finds them.
inline constexpr const char* kBenchLabel = "berth.io/bench";
// Longer than any call of a working runtime on a loaded machine.
inline constexpr std::chrono::seconds kCallTimeout{120};

struct Plan {
  std::vector<std::string> endpoints;
  std::vector<std::string> names;  // one per endpoint; if missing, the runtime's name
  std::string image;
  std::string network = "pod";
  std::string cgroup_parent;
  std::string runtime_handler;
  std::string log_root = "/var/log/berth/bench";
  std::vector<std::string> command = {"sleep", "3600"};
  int pods = 50;
  int parallel = 1;
  int rounds = 0;  // 0: five with several endpoints, otherwise one
  int warmup = 1;  // pods per endpoint that are not counted
  std::uint64_t seed = 1;
  std::int64_t grace_s = 0;  // of StopContainer
  bool keep = false;
};

}  // namespace berth::bench
