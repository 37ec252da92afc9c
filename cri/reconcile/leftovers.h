// SPDX-License-Identifier: Apache-2.0
// Objects on disk and in the store that no record names. The plugins remove their own in recover().
#pragma once

#include "core/task/task.h"
#include "cri/node.h"
#include "cri/reconcile/report.h"

namespace berth::cri {

// Active snapshots and views whose key is made of a container's id. Other keys
// belong to the puller, which removes its unfinished layers itself.
Task<void> remove_unknown_snapshots(Node& node, ReconcileReport& report);

// Seccomp profiles that no container's record names.
void remove_unused_profiles(Node& node, ReconcileReport& report);

// Directories of pods and of artifact volumes. Blocks.
void remove_unknown_files(Node& node, ReconcileReport& report);

}  // namespace berth::cri
