// SPDX-License-Identifier: Apache-2.0
// The sandbox half of the RuntimeService, one coroutine for each call and one file for each
// coroutine. The request outlives the task: it belongs to gRPC until the call is finished.
#pragma once

#include <memory>
#include <string>

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/state/records.h"

namespace berth::cri {

Task<runtime::v1::RunPodSandboxResponse> run_pod_sandbox(
    Node& node, const runtime::v1::RunPodSandboxRequest& request);
Task<runtime::v1::StopPodSandboxResponse> stop_pod_sandbox(
    Node& node, const runtime::v1::StopPodSandboxRequest& request);
Task<runtime::v1::RemovePodSandboxResponse> remove_pod_sandbox(
    Node& node, const runtime::v1::RemovePodSandboxRequest& request);
Task<runtime::v1::PodSandboxStatusResponse> pod_sandbox_status(
    Node& node, const runtime::v1::PodSandboxStatusRequest& request);
Task<runtime::v1::ListPodSandboxResponse> list_pod_sandbox(
    Node& node, const runtime::v1::ListPodSandboxRequest& request);

// Parts that the reconciler and the exits of inits use, too. Both tolerate that some or all of it
// is gone already.
//
// Ends every container, stops the sandbox at its runtime handler, detaches the network, writes
// SANDBOX_STOPPED. The caller holds the sandbox's lock.
Task<void> stop_sandbox(Node& node, std::shared_ptr<Sandbox> sandbox);
// Removes containers, cgroup, files and record. Stopped before.
Task<void> remove_sandbox(Node& node, std::shared_ptr<Sandbox> sandbox);

runtime::v1::PodSandboxState state_of(const Sandbox& sandbox);

}  // namespace berth::cri
