// SPDX-License-Identifier: Apache-2.0
// The limits of a sandbox or a container: from the CRI's message to the OCI's, and from there to
// what a resources plugin takes. Pure.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/resources.h"

namespace berth::cri {

// invalid_argument names the negative or contradictory value, which no control file would explain;
// `field` is the prefix.
Result<plugins::Resources> resources_of(const std::string& field,
                                        const runtime::v1::LinuxContainerResources& resources);

// Without the device rules.
oci::Resources oci_resources(const plugins::Resources& resources);
// The limits, device rules and privilege of a container's cgroup, all but its ids and its reach.
plugins::ContainerCgroup cgroup_of(const oci::Resources& resources);

}  // namespace berth::cri
