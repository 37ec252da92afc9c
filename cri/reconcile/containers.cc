// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile/containers.h"

#include <utility>
#include <vector>

#include "cri/container/calls.h"
#include "cri/state/records.h"

namespace berth::cri {

namespace {

Task<void> note_living(Node& node, std::shared_ptr<Container> container,
                       const plugins::Living& living, ReconcileReport& report) {
  const bool is_on_record = container->running();
  container->phase = state::v1::CONTAINER_RUNNING;
  container->pid = living.pid;
  if (is_on_record) co_return;
  records::ContainerRecord record = co_await records::load_container(node.state, container->id());
  record.set_phase(state::v1::CONTAINER_RUNNING);
  record.set_pid(living.pid);
  record.set_started_at(living.started_at_ns);
  co_await records::save(node.state, record);
  report.mended.push_back("container " + container->id() + " runs, its record did not say so");
}

Task<void> reconcile_one(Node& node, std::shared_ptr<Container> container,
                         const RecoveredState& found, ReconcileReport& report) {
  const std::string id = container->id();
  const auto living = found.living.find(id);
  if (container->phase == state::v1::CONTAINER_EXITED) {
    container->ended.set();
    if (living == found.living.end()) co_return;
    // A start that failed may have made the process all the same.
    co_await kill_container(node, container);
    report.mended.push_back("container " + id + " has ended on record, its process was killed");
    co_return;
  }
  if (living != found.living.end()) {
    co_await note_living(node, container, living->second, report);
    co_return;
  }
  const auto exited = found.exited.find(id);
  if (exited != found.exited.end()) {
    co_await note_end(node, container, exited->second);
    report.mended.push_back("container " + id + " ended while the agent was away");
    co_return;
  }
  if (!container->running()) co_return;
  // The handler does not know it, so its end would not be reported: the rest of it is ended now.
  co_await kill_cgroup(node, container);
  plugins::Exit unknown;
  unknown.id = id;
  co_await note_end(node, container, std::move(unknown));
  report.mended.push_back("container " + id + " was lost: exit code unknown");
}

// Repeated for as long as the container runs: without a log it stops at its next line.
Task<void> reopen_lost_log(Node& node, std::shared_ptr<Container> container) {
  constexpr std::int64_t kAgainMs = 1000;
  bool warned = false;
  while (container->running()) {
    Result<void> reopened = co_await reopen_log(node, container).result();
    if (reopened.ok()) co_return;
    if (!std::exchange(warned, true)) {
      node.log.warn("reconcile", "log of " + container->id() + ": " + reopened.error().message());
    }
    co_await node.ring.sleep_until(Deadline::after_ms(kAgainMs));
  }
}

Task<void> remove_unfinished(Node& node, std::shared_ptr<Container> container,
                             ReconcileReport& report) {
  const Mutex::Guard guard = co_await container->sandbox->lock.lock();
  report.mended.push_back("container " + container->id() + " was half made or half removed");
  co_await remove_container_now(node, container);
}

}  // namespace

Task<void> reconcile_containers(Node& node, const RecoveredState& found, ReconcileReport& report) {
  std::vector<std::shared_ptr<Container>> containers;
  for (const auto& [id, container] : node.pods.containers()) {
    if (is_managed(node, *container->sandbox)) containers.push_back(container);
  }
  for (const std::shared_ptr<Container>& container : containers) {
    Task<void> step = reconcile_one(node, container, found, report);
    co_await try_step(report, "container " + container->id(), std::move(step));
  }
}

void reopen_lost_logs(Node& node, const RecoveredState& found) {
  for (const auto& [id, living] : found.living) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (!living.log_lost || container == nullptr || !container->running()) continue;
    node.attempts.spawn(reopen_lost_log(node, container));
  }
}

Task<void> remove_unfinished_containers(Node& node, ReconcileReport& report) {
  std::vector<std::shared_ptr<Container>> unfinished;
  for (const auto& [id, container] : node.pods.containers()) {
    const bool is_unfinished = container->phase == state::v1::CONTAINER_CREATING ||
                               container->phase == state::v1::CONTAINER_REMOVING;
    if (is_unfinished && is_managed(node, *container->sandbox)) unfinished.push_back(container);
  }
  for (const std::shared_ptr<Container>& container : unfinished) {
    Task<void> step = remove_unfinished(node, container, report);
    co_await try_step(report, "container " + container->id(), std::move(step));
  }
}

}  // namespace berth::cri
