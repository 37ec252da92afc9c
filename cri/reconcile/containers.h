// SPDX-License-Identifier: Apache-2.0
// Containers at the start of the agent: their records against the runtime handlers' processes.
#pragma once

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/reconcile/recovered.h"
#include "cri/reconcile/report.h"

namespace berth::cri {

// Afterwards every container's phase is the one of its process.
Task<void> reconcile_containers(Node& node, const RecoveredState& found, ReconcileReport& report);

// Spawns a task for each running container whose log was lost; a log directory may hang, so none is
// awaited.
void reopen_lost_logs(Node& node, const RecoveredState& found);

// Removes the containers that a crash left in CREATING or REMOVING. Waits for their exits.
Task<void> remove_unfinished_containers(Node& node, ReconcileReport& report);

}  // namespace berth::cri
