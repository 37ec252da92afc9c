// SPDX-License-Identifier: Apache-2.0
// CRI: "RemovePodSandbox removes the sandbox. If there are any running containers in the sandbox,
// they must be forcibly terminated and removed. This call is idempotent, and must not return an
// error if the sandbox has already been removed."
#include "cri/container/calls.h"
#include "cri/field.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/files.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<void> remove_sandbox(Node& node, std::shared_ptr<Sandbox> sandbox) {
  const std::vector<std::string> ids = sandbox->container_ids;
  for (const std::string& id : ids) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (container != nullptr) co_await remove_container_now(node, container);
  }
  co_await node.resources.cleanup_pod(sandbox->id());
  co_await node.sandbox_files.remove(sandbox->id());
  co_await records::erase_sandbox(node.state, sandbox->id());
  sandbox->phase = state::v1::SANDBOX_REMOVING;
  node.pods.remove(*sandbox);
}

Task<v1::RemovePodSandboxResponse> remove_pod_sandbox(Node& node,
                                                      const v1::RemovePodSandboxRequest& request) {
  co_await check_name("pod_sandbox_id", request.pod_sandbox_id());
  const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(request.pod_sandbox_id());
  if (sandbox == nullptr) co_return v1::RemovePodSandboxResponse();
  const Mutex::Guard guard = co_await sandbox->lock.lock();
  if (sandbox->phase == state::v1::SANDBOX_REMOVING) co_return v1::RemovePodSandboxResponse();
  if (sandbox->phase == state::v1::SANDBOX_READY) co_await stop_sandbox(node, sandbox);
  co_await remove_sandbox(node, sandbox);
  co_return v1::RemovePodSandboxResponse();
}

}  // namespace berth::cri
