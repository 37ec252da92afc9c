// SPDX-License-Identifier: Apache-2.0
// Disk usage of snapshots. A committed layer never changes, so each is measured once and cached;
// writable snapshots of containers are measured each time.
#pragma once

#include <string>

#include "core/task/task.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

struct Node;

// not_found: no such committed snapshot.
Task<plugins::SnapshotUsage> layer_usage(Node& node, std::string chain_id);

struct SnapshotTotals {
  plugins::SnapshotUsage layers;      // committed snapshots: part of images
  plugins::SnapshotUsage containers;  // active snapshots and views: part of containers
};
// Measures all snapshots that are not cached, and drops removed layers from the cache.
Task<SnapshotTotals> snapshot_totals(Node& node);

}  // namespace berth::cri
