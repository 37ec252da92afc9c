// SPDX-License-Identifier: Apache-2.0
// One pod of one container through a runtime, each call timed by the client, as a kubelet would
// feel it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bench/cri/plan.h"
#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::bench {

namespace cri = ::runtime::v1;

// The calls in the order they are made. ContainerStatus is asked before and after StopContainer, to
// prove that the container ran until then, and is not timed.
enum class Call { run_sandbox, create, start, stop, stop_sandbox, remove, remove_sandbox };
inline constexpr std::size_t kCalls = 7;
inline constexpr std::array<const char*, kCalls> kCallNames = {
    "RunPodSandbox",  "CreateContainer", "StartContainer",  "StopContainer",
    "StopPodSandbox", "RemoveContainer", "RemovePodSandbox"};

// Nanoseconds of CLOCK_MONOTONIC. Calls not made are 0.
struct PodTimes {
  std::array<std::int64_t, kCalls> call_ns{};
  std::int64_t start_ns = 0;      // from before RunPodSandbox to after StartContainer
  std::int64_t lifecycle_ns = 0;  // that and the four calls that end the pod
};

// The config of pod number `number`. Its log directory is not made yet.
cri::PodSandboxConfig bench_pod(const Plan& plan, int number);

// Starts the pod, checks that its container is RUNNING and, unless the plan keeps pods, stops it,
// checks that this ended it, and removes it. On failure what was made stays, with the bench's
// label.
Result<PodTimes> run_pod(cli::Client& client, const Plan& plan, const cri::PodSandboxConfig& pod);

}  // namespace berth::bench
