// SPDX-License-Identifier: Apache-2.0
// At start the agent compares its records with the existing objects and removes the differences:
// the runtime handlers' processes and sandboxes, cgroups, networks, snapshots, files. Afterwards
// the records agree with the kernel, and a second run changes nothing.
//
// Rules. An unreadable record is quarantined for a person, and its processes are ended: the kubelet
// does not see them any more and starts others. A container whose exit was not observed ends as
// "exit code unknown". Objects that are half made or half removed are removed. A difference that
// cannot be removed is reported and left for the next start. Sandboxes whose handler is not
// configured any more are reported and left as they are.
#pragma once

#include "core/task/scope.h"
#include "core/task/task.h"
#include "cri/node.h"
#include "cri/reconcile/report.h"

namespace berth::cri {

// Once, before the first call is served. Spawns watch_exits of every handler in `watchers` as soon
// as the containers' records agree with the handlers.
Task<ReconcileReport> reconcile(Node& node, Scope& watchers);

}  // namespace berth::cri
