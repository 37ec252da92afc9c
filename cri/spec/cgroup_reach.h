// SPDX-License-Identifier: Apache-2.0
// What a container may do to cgroup filesystems, which decides in which hierarchies of cgroup v1 it
// has groups of its own (plugins/resources/namespace_roots.h).
#pragma once

#include <cstdint>

#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/resources.h"

namespace berth::cri {

// In doubt the larger one. `bounding` is the container's set of capabilities.
// `pod_shares_processes`: the pod has a PID namespace for its containers.
plugins::CgroupReach cgroup_reach_of(const runtime::v1::LinuxContainerSecurityContext& security,
                                     std::uint64_t bounding, bool pod_shares_processes);

}  // namespace berth::cri
