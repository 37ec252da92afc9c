// SPDX-License-Identifier: Apache-2.0
// Runs one pod of one container on a runtime and measures each call at the client.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "bench/cri/plan.h"
#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::bench {

namespace cri = ::runtime::v1;

// The measured calls in their order. ContainerStatus is also called before and after StopContainer,
// to verify that the container ran until then, and is not measured.
enum class Call { run_sandbox, create, start, stop, stop_sandbox, remove, remove_sandbox };
inline constexpr std::size_t kCalls = 7;
inline constexpr std::array<const char*, kCalls> kCallNames = {
    "RunPodSandbox",  "CreateContainer", "StartContainer",  "StopContainer",
    "StopPodSandbox", "RemoveContainer", "RemovePodSandbox"};

// Nanoseconds of CLOCK_MONOTONIC; 0 for calls that were not made.
struct PodTimes {
  std::array<std::int64_t, kCalls> call_ns{};
  std::int64_t start_ns = 0;      // from before RunPodSandbox to after StartContainer
  std::int64_t lifecycle_ns = 0;  // start_ns and the four calls that end the pod
};

// The config of pod number `number`. Does not make the log directory.
cri::PodSandboxConfig bench_pod(const Plan& plan, int number);

// Starts the pod and checks that its container is RUNNING. Unless the plan keeps pods, stops the
// container, checks that the stop ended it, and removes the pod. On failure the pod remains and can
// be found by the bench's label.
Result<PodTimes> run_pod(cli::Client& client, const Plan& plan, const cri::PodSandboxConfig& pod);

}  // namespace berth::bench
