// SPDX-License-Identifier: Apache-2.0
// CRI: "StopContainer stops a running container with a grace period (i.e., timeout). This call is
// idempotent, and must not return an error if the container has already been stopped." An unknown
// id is answered in the same way.
//
// No lock is held while the grace period passes, so status, exec and a second, shorter stop go on.
#include <signal.h>

#include "core/ring/with_deadline.h"
#include "cri/container/calls.h"
#include "cri/field.h"
#include "cri/spec/stop_signal.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

Task<void> signal_container(Node& node, std::shared_ptr<Container> container, int signal) {
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container->sandbox->handler());
  co_await runtime->signal(container->id(), signal);
}

}  // namespace

Task<void> kill_cgroup(Node& node, std::shared_ptr<Container> container) {
  Result<void> killed =
      co_await node.resources.kill(container->item.pod_sandbox_id(), container->id()).result();
  if (killed.ok() || killed.error().is(Errc::not_found)) co_return;
  node.log.warn("container", "kill " + container->id() + ": " + killed.error().message());
}

Task<void> kill_container(Node& node, std::shared_ptr<Container> container) {
  co_await kill_cgroup(node, container);
  // The handler kills the first process as well, in case the cgroup is gone.
  co_await signal_container(node, container, SIGKILL);
}

Task<void> await_end(Node& node, std::shared_ptr<Container> container) {
  if (!container->running()) co_return;
  const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
  Result<void> ended =
      co_await with_deadline(node.ring, deadline, container->ended.wait()).result();
  if (!ended.ok()) {
    co_await fail(std::move(ended).error().with("container `" + container->id() +
                                                "` does not end after SIGKILL"));
  }
}

Task<v1::StopContainerResponse> stop_container(Node& node,
                                               const v1::StopContainerRequest& request) {
  co_await check_name("container_id", request.container_id());
  if (request.timeout() < 0) co_await fail(invalid_field("timeout", "is negative"));
  const std::shared_ptr<Container> container = node.pods.container(request.container_id());
  if (container == nullptr || !container->running()) co_return v1::StopContainerResponse();
  if (request.timeout() > 0) {
    const records::ContainerRecord record =
        co_await records::load_container(node.state, container->id());
    const int signal = signal_number(record.stop_signal()).value_or(SIGTERM);
    co_await signal_container(node, container, signal);
    const Deadline grace = Deadline::after_ns(request.timeout() > INT64_MAX / kNanosecondsPerSecond
                                                  ? INT64_MAX
                                                  : request.timeout() * kNanosecondsPerSecond);
    Result<void> ended = co_await with_deadline(node.ring, grace, container->ended.wait()).result();
    if (ended.ok()) co_return v1::StopContainerResponse();
    // An agent that ends before the grace period does not cut it short.
    if (!ended.error().is(Errc::deadline_exceeded)) co_await fail(std::move(ended).error());
  }
  co_await kill_container(node, container);
  co_await await_end(node, container);
  co_return v1::StopContainerResponse();
}

}  // namespace berth::cri
