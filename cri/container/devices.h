// SPDX-License-Identifier: Apache-2.0
// Looks at the devices of the host that a container gets.
#pragma once

#include "core/ring/may_hang.h"
#include "core/task/task.h"
#include "cri/proto/services.grpc.pb.h"
#include "cri/spec/devices.h"

namespace berth::cri {

// As they are on the host now. Errors name config.devices.host_path: invalid_argument for a path that
// is not a device, does not exist or has too many files below it.
Task<FoundDevices> find_devices(HangingThreads& threads,
                                const runtime::v1::ContainerConfig& config);

}  // namespace berth::cri
