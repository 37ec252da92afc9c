// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile/recovered.h"

#include <utility>
#include <vector>

#include "cri/sandbox/network.h"
#include "cri/state/records.h"

namespace berth::cri {

namespace {

std::vector<plugins::KnownSandbox> sandboxes_of(const Node& node,
                                                const plugins::RuntimeHandler& runtime) {
  std::vector<plugins::KnownSandbox> known;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    Result<plugins::RuntimeHandler*> its = node.handlers.runtime(sandbox->handler());
    if (!its.ok() || *its != &runtime) continue;
    known.push_back({.sandbox_id = id,
                     .namespaces = sandbox->namespaces,
                     .container_ids = sandbox->container_ids});
  }
  return known;
}

void merge(plugins::Recovered from, RecoveredState& into, ReconcileReport& report) {
  for (plugins::SandboxStatus& sandbox : from.sandboxes) {
    const std::string id = sandbox.sandbox_id;
    into.sandboxes[id] = std::move(sandbox);
  }
  for (plugins::Living& living : from.living) {
    const std::string id = living.container_id;
    into.living[id] = std::move(living);
  }
  for (plugins::Exit& exit : from.exited) {
    const std::string id = exit.id;
    into.exited[id] = std::move(exit);
  }
  for (std::string& sentence : from.ended) report.mended.push_back(std::move(sentence));
}

Task<void> recover_resources(Node& node) {
  std::vector<plugins::LivingCgroup> cgroups;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    const records::SandboxRecord record = co_await records::load_sandbox(node.state, id);
    cgroups.push_back({id, record.config().linux().cgroup_parent(), sandbox->container_ids});
  }
  co_await node.resources.recover(std::move(cgroups));
}

// The network namespaces by network. They are moved out of `found`: no later step needs them.
Task<void> recover_networks(Node& node, RecoveredState& found, ReconcileReport& report) {
  std::map<std::string, std::vector<plugins::NetworkPod>> pods;
  for (auto& [id, status] : found.sandboxes) {
    if (!status.netns.valid()) continue;
    const records::SandboxRecord record = co_await records::load_sandbox(node.state, id);
    plugins::NetworkPod pod = network_pod(record);
    pod.netns = std::move(status.netns);
    pods[record.network()].push_back(std::move(pod));
  }
  for (const auto& [name, network] : node.networks.all()) {
    Task<void> step = network->recover(std::move(pods[name]));
    co_await try_step(report, "network " + name, std::move(step));
  }
}

}  // namespace

Task<void> load_records(Node& node, ReconcileReport& report) {
  const std::vector<records::SandboxRecord> sandboxes =
      co_await records::all_sandboxes(node.state, node.log);
  for (const records::SandboxRecord& record : sandboxes) node.pods.add(new_sandbox(record));
  const std::vector<records::ContainerRecord> containers =
      co_await records::all_containers(node.state, node.log);
  for (const records::ContainerRecord& record : containers) {
    const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(record.sandbox_id());
    if (sandbox == nullptr) {
      // The sandbox's record is gone or quarantined, so no client can name the container.
      co_await records::erase_container(node.state, record.id());
      report.mended.push_back("container " + record.id() + " had no sandbox");
      continue;
    }
    node.pods.add(new_container(record, sandbox));
  }
}

Task<RecoveredState> recover_plugins(Node& node, ReconcileReport& report) {
  RecoveredState found;
  const std::vector<plugins::RuntimeHandler*> runtimes = node.handlers.runtimes();
  for (plugins::RuntimeHandler* const runtime : runtimes) {
    plugins::Recovered recovered = co_await runtime->recover(sandboxes_of(node, *runtime));
    merge(std::move(recovered), found, report);
  }
  Task<void> resources = recover_resources(node);
  co_await try_step(report, "cgroups", std::move(resources));
  Task<void> networks = recover_networks(node, found, report);
  co_await try_step(report, "networks", std::move(networks));
  co_return std::move(found);
}

}  // namespace berth::cri
