// SPDX-License-Identifier: Apache-2.0
// Stopping and removing, in the order a kubelet does it: containers, then their sandbox.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "cri/cli/client.h"
#include "cri/cli/resolve.h"

namespace berth::cli {

// `grace_s` passes between the stop signal and SIGKILL; the call may take that long and some more.
Status stop_container(Client& client, const std::string& container_id, std::int64_t grace_s);
Status remove_container(Client& client, const std::string& container_id);
Status stop_sandbox(Client& client, const std::string& pod_id);
// Also removes the logs when `berth run` made the pod: nobody else would.
Status remove_sandbox(Client& client, const std::string& pod_id);

// A pod with its running containers, or a container and the pod that exists only for it.
Status stop_target(Client& client, const Inventory& inventory, const Target& target,
                   std::int64_t grace_s);
// A stopped target, or with `force` a running one.
Status remove_target(Client& client, const Inventory& inventory, const Target& target, bool force);

}  // namespace berth::cli
