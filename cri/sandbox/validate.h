// SPDX-License-Identifier: Apache-2.0
// What a RunPodSandbox request must be before anything is made for it. Pure.
#pragma once

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/network.h"
#include "plugins/api/resources.h"

namespace berth::cri {

Status validate(const runtime::v1::RunPodSandboxRequest& request);
Result<std::vector<plugins::PortMapping>> port_mappings_of(
    const runtime::v1::PodSandboxConfig& config);
// The negative and contradictory values that no control file would explain; `field` is the prefix.
Result<plugins::Resources> resources_of(const std::string& field,
                                        const runtime::v1::LinuxContainerResources& resources);

}  // namespace berth::cri
