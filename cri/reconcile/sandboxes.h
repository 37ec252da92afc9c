// SPDX-License-Identifier: Apache-2.0
// Sandboxes at the start of the agent: their records against the runtime handlers' sandboxes.
#pragma once

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/reconcile/recovered.h"
#include "cri/reconcile/report.h"

namespace berth::cri {

// Removes sandboxes that a crash left half made or half removed, stops those that have lost a
// namespace or their init, and gives the others their tmpfs. Waits for the exits of containers.
Task<void> reconcile_sandboxes(Node& node, RecoveredState& found, ReconcileReport& report);

}  // namespace berth::cri
