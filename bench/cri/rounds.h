// SPDX-License-Identifier: Apache-2.0
// Runs the plan in rounds. Each round runs the endpoints in turn, so that temporary load on the
// machine affects all of them. `parallel` workers share the pods of a round, each on its own
// connection.
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
  std::string name;  // from the plan, or the runtime's name
  std::string runtime_version;
  std::vector<PodTimes> pods;  // in the order of their starts
  std::int64_t wall_ns = 0;    // of all its rounds, from the first call to the last response
};

struct BenchRun {
  std::vector<EndpointRun> endpoints;
  std::uint64_t work_hash = 0;  // of the order in which endpoints took turns
};

// Pulls the image on endpoints that do not have it, then runs the pods. If a call fails, all pods
// with the bench's label are removed on all endpoints, and the run fails.
Result<BenchRun> run_plan(const Plan& plan);

}  // namespace berth::bench
