// SPDX-License-Identifier: Apache-2.0
// What a container may do to cgroup filesystems, which decides in which hierarchies of cgroup v1 it
// has groups of its own (plugins/resources/namespace_roots.h).
#pragma once

#include "core/base/result.h"
#include "cri/proto/services.grpc.pb.h"
#include "plugins/api/resources.h"

namespace berth::cri {

// In doubt the larger one. `pod_shares_processes`: the pod has a PID namespace for its containers.
// Errors are those of capabilities_of.
Result<plugins::CgroupReach> cgroup_reach_of(
    const runtime::v1::LinuxContainerSecurityContext& security, bool pod_shares_processes);

}  // namespace berth::cri
