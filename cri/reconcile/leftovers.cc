// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile/leftovers.h"

#include <string_view>
#include <utility>
#include <vector>

#include "cri/container/image_volumes.h"
#include "cri/ids.h"
#include "cri/sandbox/files.h"

namespace berth::cri {

Task<void> remove_unknown_snapshots(Node& node, ReconcileReport& report) {
  const std::vector<plugins::SnapshotInfo> snapshots = co_await node.snapshotter.walk();
  for (const plugins::SnapshotInfo& snapshot : snapshots) {
    if (snapshot.kind == plugins::SnapshotKind::committed) continue;
    const std::string container_id = container_of_key(snapshot.name);
    if (!is_id(container_id) || node.pods.container(container_id) != nullptr) continue;
    report.mended.push_back("snapshot " + snapshot.name + " belonged to no container");
    Task<void> step = node.snapshotter.remove(snapshot.name);
    co_await try_step(report, "snapshot " + snapshot.name, std::move(step));
  }
}

void remove_unused_profiles(Node& node, ReconcileReport& report) {
  const Status swept = node.seccomp_table.sweep(node.state);
  if (!swept.ok()) report.failed.push_back("seccomp profiles: " + swept.error().message());
}

void remove_unknown_files(Node& node, ReconcileReport& report) {
  Result<std::vector<std::string>> volumes = sweep_artifact_volumes(node);
  if (!volumes.ok()) {
    report.failed.push_back("artifact volumes: " + volumes.error().message());
  } else {
    for (const std::string& id : *volumes) {
      report.mended.push_back("artifact volume of " + id + " belonged to no container");
    }
  }
  const auto is_known = [&node](std::string_view id) { return node.pods.sandbox(id) != nullptr; };
  for (const std::string& path : node.sandbox_files.remove_unknown(is_known)) {
    report.mended.push_back("directory " + path + " belonged to no sandbox");
  }
}

}  // namespace berth::cri
