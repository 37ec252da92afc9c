// SPDX-License-Identifier: Apache-2.0
// Runs the plan: endpoints take turns in rounds, so that a noisy minute of the machine meets all of
// them, and within a round `parallel` workers share the pods, each on a connection of its own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/cri/plan.h"
#include "bench/cri/pod_run.h"
#include "core/base/result.h"

namespace berth::bench {

struct EndpointRun {
  std::string endpoint;
  std::string name;  // given, or the runtime's own
  std::string runtime_version;
  std::vector<PodTimes> pods;  // in the order they were begun
  std::int64_t wall_ns = 0;    // of all its rounds, from first call to last answer
};

struct BenchRun {
  std::vector<EndpointRun> endpoints;
  std::uint64_t work_hash = 0;  // of the order in which endpoints took turns
};

// Pulls the image where it is absent. Any failed call fails the run, after the pods of all
// endpoints that carry the bench's label were removed.
Result<BenchRun> run_plan(const Plan& plan);

}  // namespace berth::bench
