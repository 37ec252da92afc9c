// SPDX-License-Identifier: Apache-2.0
// The capability sets of a container from the CRI's add and drop lists.
#pragma once

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/proto/services.grpc.pb.h"

namespace berth::cri {

// Starts from Docker's default set (privileged: every capability that `available` has), drops, then
// adds; "ALL" stands for every capability. Names come with or without "CAP_". What the agent itself
// does not have cannot be given and is left out. `inheritable` stays empty: with it, a file
// capability could give back what was dropped. Ambient ones are added to all sets.
// invalid_argument: unknown name.
Result<oci::Capabilities> capabilities_of(
    const runtime::v1::LinuxContainerSecurityContext& security, std::uint64_t available);

}  // namespace berth::cri
