// SPDX-License-Identifier: Apache-2.0
// The nodes in a container's /dev: the six that OCI runtimes always make, the request's, and for a
// privileged container the host's own.
#pragma once

#include <string>
#include <vector>

#include "core/oci/spec.h"
#include "core/ring/may_hang.h"
#include "core/task/task.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

struct ContainerDevices {
  std::vector<oci::Device> nodes;
  std::vector<std::string> rules;  // "c 1:3 rwm" for each of the request, for the resources plugin
};

// As they are on the host now. Errors name config.devices[N].host_path: invalid_argument for what
// is no device, is not there or has too much below it.
Task<ContainerDevices> find_devices(HangingThreads& threads,
                                    const runtime::v1::ContainerConfig& config);

}  // namespace berth::cri
