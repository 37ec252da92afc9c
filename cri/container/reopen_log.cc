// SPDX-License-Identifier: Apache-2.0
// CRI: "ReopenContainerLog asks runtime to reopen the stdout/stderr log file for the container.
// This is often called after the log file has been rotated. If the container is not running,
// container runtime can choose to either create a new log file and return nil, or return an error."
// berth returns an error: nothing would ever be written to the new file.
#include "core/ring/with_deadline.h"
#include "cri/container/calls.h"
#include "cri/container/sources.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Task<void> reopen_log(Node& node, std::shared_ptr<Container> container) {
  const records::ContainerRecord record =
      co_await records::load_container(node.state, container->id());
  if (record.log_path().empty()) co_return;
  const records::SandboxRecord sandbox =
      co_await records::load_sandbox(node.state, record.sandbox_id());
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  UniqueFd log = co_await with_deadline(
      node.ring, deadline,
      node.sources.open_log(sandbox.config().log_directory(), record.config().log_path()));
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container->sandbox->handler());
  co_await runtime->reopen_log(container->id(), std::move(log));
}

Task<v1::ReopenContainerLogResponse> reopen_container_log(
    Node& node, const v1::ReopenContainerLogRequest& request) {
  const std::shared_ptr<Container> container =
      co_await node.pods.need_container("container_id", request.container_id());
  if (!container->running()) {
    co_await fail(Errc::failed_precondition,
                  "container_id: container `" + container->id() + "` is not running");
  }
  co_await reopen_log(node, container);
  co_return v1::ReopenContainerLogResponse();
}

}  // namespace berth::cri
