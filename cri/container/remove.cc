// SPDX-License-Identifier: Apache-2.0
// CRI: "RemoveContainer removes the container. If the container is running, the container must be
// forcibly removed. This call is idempotent, and must not return an error if the container has
// already been removed."
//
// The record says REMOVING before the first part goes, so a crash or a failure leaves something
// that the reconciler, or the next call, removes to the end.
#include "cri/container/calls.h"
#include "cri/container/image_volumes.h"
#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

Task<void> remove_snapshot(Node& node, const std::string& id) {
  Result<void> removed = co_await node.snapshotter.remove(id).result();
  if (!removed.ok() && !removed.error().is(Errc::not_found)) {
    co_await fail(std::move(removed).error());
  }
}

// A store without room for the new phase does not stop the removal.
void note_removal(Node& node, records::ContainerRecord& record) {
  if (record.phase() == state::v1::CONTAINER_REMOVING) return;
  record.set_phase(state::v1::CONTAINER_REMOVING);
  Status noted = records::save(node.state, record);
  if (!noted.ok()) {
    node.log.warn("container", "removal of " + record.id() + ": " + noted.error().message());
  }
}

// A start that has failed because the handler's process died may have made the container's process:
// the handler finds it alive and refuses to forget it.
Task<void> forget_process(Node& node, std::shared_ptr<Container> container) {
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container->sandbox->handler());
  const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
  for (;;) {
    Result<void> forgotten = co_await runtime->remove(container->id()).result();
    if (forgotten.ok()) co_return;
    if (!forgotten.error().is(Errc::failed_precondition) || deadline.passed()) {
      co_await std::move(forgotten);
    }
    co_await kill_container(node, container);
    constexpr std::int64_t kAgainMs = 5;
    co_await node.ring.sleep_until(Deadline::after_ms(kAgainMs));
  }
}

}  // namespace

Task<void> remove_container_now(Node& node, std::shared_ptr<Container> container) {
  const std::string id = container->id();
  const std::string sandbox_id = container->item.pod_sandbox_id();
  if (container->running()) {
    co_await kill_container(node, container);
    co_await await_end(node, container);
  } else {
    // Processes that it left behind in a PID namespace that goes on.
    co_await kill_cgroup(node, container);
  }
  container->phase = state::v1::CONTAINER_REMOVING;
  container->rootfs.reset();
  Result<records::ContainerRecord> record = records::load_container(node.state, id);
  // A record that cannot be read leaves its image volumes to the reconciler.
  if (record.ok()) note_removal(node, *record);
  co_await forget_process(node, container);
  co_await node.resources.cleanup(sandbox_id, id);
  co_await remove_snapshot(node, id);
  // The volumes of an unreadable record are swept at the next start.
  if (record.ok()) co_await remove_image_volumes(node, *record);
  co_await records::erase_container(node.state, id);
  node.pods.remove(*container);
}

Task<v1::RemoveContainerResponse> remove_container(Node& node,
                                                   const v1::RemoveContainerRequest& request) {
  co_await check_name("container_id", request.container_id());
  const std::shared_ptr<Container> container = node.pods.container(request.container_id());
  if (container == nullptr) co_return v1::RemoveContainerResponse();
  const Mutex::Guard guard = co_await container->sandbox->lock.lock();
  if (node.pods.container(request.container_id()) != nullptr) {
    co_await remove_container_now(node, container);
  }
  co_return v1::RemoveContainerResponse();
}

}  // namespace berth::cri
