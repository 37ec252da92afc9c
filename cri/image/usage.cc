// SPDX-License-Identifier: Apache-2.0
#include "cri/image/usage.h"

#include "cri/node.h"

namespace berth::cri {

namespace {

void add(plugins::SnapshotUsage& to, const plugins::SnapshotUsage& more) {
  to.bytes += more.bytes;
  to.inodes += more.inodes;
}

}  // namespace

Task<plugins::SnapshotUsage> layer_usage(Node& node, std::string chain_id) {
  const auto known = node.layer_usages.find(chain_id);
  if (known != node.layer_usages.end()) co_return known->second;
  const plugins::SnapshotUsage usage = co_await node.snapshotter.usage(chain_id);
  node.layer_usages[chain_id] = usage;
  co_return usage;
}

Task<SnapshotTotals> snapshot_totals(Node& node) {
  SnapshotTotals totals;
  LayerUsages present;
  const std::vector<plugins::SnapshotInfo> snapshots = co_await node.snapshotter.walk();
  for (const plugins::SnapshotInfo& snapshot : snapshots) {
    const bool committed = snapshot.kind == plugins::SnapshotKind::committed;
    Task<plugins::SnapshotUsage> measure =
        committed ? layer_usage(node, snapshot.name) : node.snapshotter.usage(snapshot.name);
    Result<plugins::SnapshotUsage> usage = co_await std::move(measure).result();
    // Snapshots that are removed during the walk are not counted.
    if (!usage.ok()) continue;
    add(committed ? totals.layers : totals.containers, *usage);
    if (committed) present[snapshot.name] = *usage;
  }
  node.layer_usages = std::move(present);
  co_return totals;
}

}  // namespace berth::cri
