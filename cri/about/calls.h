// SPDX-License-Identifier: Apache-2.0
// The calls about the agent and the node themselves: Version, Status, RuntimeConfig and
// UpdateRuntimeConfig.
#pragma once

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

constexpr const char* kBerthVersion = "0.1.0";

Task<runtime::v1::VersionResponse> version(Node& node, const runtime::v1::VersionRequest& request);
Task<runtime::v1::StatusResponse> status(Node& node, const runtime::v1::StatusRequest& request);
Task<runtime::v1::RuntimeConfigResponse> runtime_config(
    Node& node, const runtime::v1::RuntimeConfigRequest& request);
Task<runtime::v1::UpdateRuntimeConfigResponse> update_runtime_config(
    Node& node, const runtime::v1::UpdateRuntimeConfigRequest& request);

}  // namespace berth::cri
