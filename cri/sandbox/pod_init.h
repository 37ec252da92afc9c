// SPDX-License-Identifier: Apache-2.0
// The init of a pod whose containers share a PID namespace: a child of the keeper that never
// executes anything, reaps what is orphaned in the pod, and ends when told to. Only such pods have
// one.
#pragma once

#include <string>

#include "cri/node.h"

namespace berth::cri {

// Fills the sandbox's init_pid, init_pidfd and namespaces.pid.
Task<void> start_pod_init(Node& node, Sandbox& sandbox);
// Ends it, and with it every process of the pod's PID namespace. None there: fine.
Task<void> end_pod_init(Node& node, std::string pod_id);
// The name under which the keeper knows it, and the reverse: empty when it is no such name.
std::string pod_init_name(const std::string& pod_id);
std::string pod_of_init(const std::string& name);

}  // namespace berth::cri
