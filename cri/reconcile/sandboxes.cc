// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile/sandboxes.h"

#include <utility>
#include <vector>

#include "cri/sandbox/calls.h"
#include "cri/sandbox/files.h"
#include "cri/state/records.h"

namespace berth::cri {

namespace {

// A detached tmpfs cannot be found again through a process: containers from now on get a new one.
Task<void> replace_tmpfs(Node& node, Sandbox& sandbox, ReconcileReport& report) {
  const records::SandboxRecord record = co_await records::load_sandbox(node.state, sandbox.id());
  sandbox.tmpfs = co_await node.sandbox_files.make(record);
  UniqueFd copy = co_await sandbox.tmpfs.duplicate();
  std::vector<UniqueFd> kept;
  kept.push_back(std::move(copy));
  plugins::RuntimeHandler* const runtime = co_await node.handlers.runtime(sandbox.handler());
  co_await runtime->keep(sandbox.id(), std::move(kept));
  report.mended.push_back("sandbox " + sandbox.id() + " lost its tmpfs and got a new one");
}

Task<void> reconcile_one(Node& node, std::shared_ptr<Sandbox> sandbox, RecoveredState& found,
                         ReconcileReport& report) {
  const Mutex::Guard guard = co_await sandbox->lock.lock();
  if (sandbox->phase == state::v1::SANDBOX_STOPPED) co_return;
  if (sandbox->phase != state::v1::SANDBOX_READY) {
    report.mended.push_back("sandbox " + sandbox->id() + " was half made or half removed");
    co_await stop_sandbox(node, sandbox);
    co_await remove_sandbox(node, sandbox);
    co_return;
  }
  const auto status = found.sandboxes.find(sandbox->id());
  if (status == found.sandboxes.end() || !status->second.ready) {
    const std::string lost =
        status == found.sandboxes.end() ? "its namespaces" : "its " + status->second.lost;
    report.mended.push_back("sandbox " + sandbox->id() + " has lost " + lost + ": stopped");
    sandbox->broken = true;
    co_await stop_sandbox(node, sandbox);
    co_return;
  }
  if (status->second.kept.empty()) {
    co_await replace_tmpfs(node, *sandbox, report);
  } else {
    sandbox->tmpfs = std::move(status->second.kept.front());
  }
}

}  // namespace

Task<void> reconcile_sandboxes(Node& node, RecoveredState& found, ReconcileReport& report) {
  std::vector<std::shared_ptr<Sandbox>> sandboxes;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    if (is_managed(node, *sandbox)) {
      sandboxes.push_back(sandbox);
    } else {
      report.failed.push_back("sandbox " + id + ": its runtime handler `" + sandbox->handler() +
                              "` is not configured any more");
    }
  }
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) {
    Task<void> step = reconcile_one(node, sandbox, found, report);
    co_await try_step(report, "sandbox " + sandbox->id(), std::move(step));
  }
}

}  // namespace berth::cri
