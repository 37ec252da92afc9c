// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile/reconcile.h"

#include <utility>

#include "cri/container/calls.h"
#include "cri/reconcile/containers.h"
#include "cri/reconcile/leftovers.h"
#include "cri/reconcile/recovered.h"
#include "cri/reconcile/sandboxes.h"

namespace berth::cri {

std::string ReconcileReport::summary() const {
  return "reconcile: pods=" + std::to_string(pods) + " containers=" + std::to_string(containers) +
         " mended=" + std::to_string(mended.size()) + " failed=" + std::to_string(failed.size());
}

Task<void> try_step(ReconcileReport& report, std::string subject, Task<void> step) {
  Result<void> done = co_await std::move(step).result();
  if (done.ok()) co_return;
  if (!done.error().is(Errc::cancelled)) {
    report.failed.push_back(subject + ": " + done.error().message());
  } else {
    co_await std::move(done);
  }
}

Task<ReconcileReport> reconcile(Node& node, Scope& watchers) {
  ReconcileReport report;
  co_await load_records(node, report);
  // The plugins hear of everything that has a record, also of objects that are removed a moment
  // later.
  RecoveredState found = co_await recover_plugins(node, report);
  co_await reconcile_containers(node, found, report);
  reopen_lost_logs(node, found);
  // The removal of containers below waits for their exits.
  for (plugins::RuntimeHandler* runtime : node.handlers.runtimes()) {
    watchers.spawn(watch_exits(node, *runtime));
  }
  co_await remove_unfinished_containers(node, report);
  co_await reconcile_sandboxes(node, found, report);
  Task<void> snapshots = remove_unknown_snapshots(node, report);
  co_await try_step(report, "snapshots", std::move(snapshots));
  remove_unknown_files(node, report);
  remove_unused_profiles(node, report);
  report.pods = node.pods.sandboxes().size();
  report.containers = node.pods.containers().size();
  co_return report;
}

}  // namespace berth::cri
