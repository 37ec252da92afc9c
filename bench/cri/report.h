// SPDX-License-Identifier: Apache-2.0
// Formats the result as text for people and as JSON for scripts. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "bench/cri/plan.h"
#include "bench/cri/rounds.h"

namespace berth::bench {

// One table per endpoint and, with several endpoints, a line with the ratios of each to the first.
std::string text_report(const Plan& plan, const BenchRun& run);

// {"pods", "parallel", ..., "runs": [{"endpoint", "runtime", "start_ms": {"p50", ...}, "rpc_ms":
// {"RunPodSandbox": {...}}, "lifecycle_per_s", "start_samples_ms": [...], ...}]}. Times are in
// milliseconds; values that were not measured are null.
nlohmann::ordered_json json_report(const Plan& plan, const BenchRun& run);

}  // namespace berth::bench
