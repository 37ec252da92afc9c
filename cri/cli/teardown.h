// SPDX-License-Identifier: Apache-2.0
// Stops and removes pods in the order of a kubelet: containers, then their sandbox.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "cri/cli/client.h"
#include "cri/cli/resolve.h"

namespace berth::cli {

// `grace_s` is the time between the stop signal and SIGKILL. The call may take up to a minute
// longer.
Status stop_container(Client& client, const std::string& container_id, std::int64_t grace_s);
Status remove_container(Client& client, const std::string& container_id);
Status stop_sandbox(Client& client, const std::string& pod_id);
// Also removes the logs if `berth run` made the pod, because the runtime does not remove them.
Status remove_sandbox(Client& client, const std::string& pod_id);

// Stops a pod with its running containers, or a container and the pod that `berth run` made for it.
Status stop_target(Client& client, const Inventory& inventory, const Target& target,
                   std::int64_t grace_s);
// Removes a stopped target, or with `force` a running one.
Status remove_target(Client& client, const Inventory& inventory, const Target& target, bool force);

}  // namespace berth::cli
