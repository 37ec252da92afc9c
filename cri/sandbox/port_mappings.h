// SPDX-License-Identifier: Apache-2.0
// The ports of a sandbox's config as a network takes them. Pure.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/network.h"

namespace berth::cri {

// invalid_argument names the field: a number out of range, an unknown protocol.
Result<std::vector<plugins::PortMapping>> port_mappings_of(
    const runtime::v1::PodSandboxConfig& config);

}  // namespace berth::cri
