// SPDX-License-Identifier: Apache-2.0
// What snapshots occupy. A layer never changes once it is committed, so each is measured once and
// remembered; what a container writes is measured each time.
#pragma once

#include <string>

#include "core/task/task.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

struct Node;

// not_found: no such committed snapshot.
Task<plugins::SnapshotUsage> layer_usage(Node& node, std::string chain_id);

struct SnapshotTotals {
  plugins::SnapshotUsage layers;      // committed: the images' share
  plugins::SnapshotUsage containers;  // active and views: the containers' share
};
// Measures what is not remembered, and forgets layers that are gone.
Task<SnapshotTotals> snapshot_totals(Node& node);

}  // namespace berth::cri
