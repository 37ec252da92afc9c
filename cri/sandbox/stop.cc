// SPDX-License-Identifier: Apache-2.0
// CRI: "StopPodSandbox stops any running process that is part of the sandbox and reclaims network
// resources allocated to the sandbox. If there are any running containers in the sandbox, they must
// be forcibly terminated. This call is idempotent, and must not return an error if all relevant
// resources have already been reclaimed."
#include "core/ring/with_deadline.h"
#include "cri/container/calls.h"
#include "cri/field.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/network.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// A network that cannot be detached does not hold the pod up: the failure is logged, and the
// network's recover() removes the leftover at the next start.
Task<void> detach_network(Node& node, const records::SandboxRecord& record) {
  Result<plugins::Network*> network = node.networks.find(record.network());
  Result<void> outcome;
  if (network.ok()) {
    const Deadline deadline = Deadline::after_ms(node.options.network_ms_max);
    outcome = co_await with_deadline(node.ring, deadline, (*network)->detach(network_pod(record)))
                  .result();
  } else {
    outcome = std::move(network).error();
  }
  if (!outcome.ok()) {
    node.log.warn("sandbox", "detach network of " + record.id() + ": " + outcome.error().message());
  }
}

}  // namespace

Task<void> stop_sandbox(Node& node, std::shared_ptr<Sandbox> sandbox) {
  plugins::RuntimeHandler* const runtime = co_await node.handlers.runtime(sandbox->handler());
  // The list changes while containers end: walk a copy. All are killed before one is waited for.
  const std::vector<std::string> ids = sandbox->container_ids;
  for (const std::string& id : ids) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (container == nullptr) continue;
    if (container->running()) {
      co_await kill_container(node, container);
    } else {
      co_await kill_cgroup(node, container);
    }
  }
  for (const std::string& id : ids) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (container != nullptr) co_await await_end(node, container);
  }
  records::SandboxRecord record = co_await records::load_sandbox(node.state, sandbox->id());
  const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
  co_await with_deadline(node.ring, deadline, runtime->stop_sandbox(sandbox->id()));
  co_await detach_network(node, record);
  if (sandbox->phase != state::v1::SANDBOX_STOPPED) {
    record.set_phase(state::v1::SANDBOX_STOPPED);
    co_await records::save(node.state, record);
    sandbox->phase = state::v1::SANDBOX_STOPPED;
  }
  // Last: a sandbox whose stop has failed keeps it.
  sandbox->tmpfs.reset();
}

Task<v1::StopPodSandboxResponse> stop_pod_sandbox(Node& node,
                                                  const v1::StopPodSandboxRequest& request) {
  co_await check_name("pod_sandbox_id", request.pod_sandbox_id());
  const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(request.pod_sandbox_id());
  if (sandbox == nullptr) co_return v1::StopPodSandboxResponse();
  const Mutex::Guard guard = co_await sandbox->lock.lock();
  // While this call waited for the lock another stop or remove may have done all of it.
  if (sandbox->phase == state::v1::SANDBOX_READY) co_await stop_sandbox(node, sandbox);
  co_return v1::StopPodSandboxResponse();
}

}  // namespace berth::cri
