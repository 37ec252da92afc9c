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

// A store without room for the mark must not keep the container from going.
void note_removal(Node& node, records::ContainerRecord& record) {
  if (record.phase() == state::v1::CONTAINER_REMOVING) return;
  record.set_phase(state::v1::CONTAINER_REMOVING);
  Status noted = records::save(node.state, record);
  if (!noted.ok()) {
    node.log.warn("container", "removal of " + record.id() + ": " + noted.error().message());
  }
}

// A start that the keeper's death cut short has failed for us and may yet have made the process: a
// new keeper finds it alive and refuses to forget it.
Task<void> forget_process(Node& node, std::shared_ptr<Container> container) {
  const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
  for (;;) {
    Result<void> forgotten = co_await node.handler.remove(container->id()).result();
    if (forgotten.ok()) co_return;
    if (!forgotten.error().is(Errc::failed_precondition) || deadline.passed()) {
      co_await std::move(forgotten);
    }
    co_await kill_container(node, container);
    // Its end is told by next_exit only to who still knows it; this is the rare case.
    co_await node.ring.sleep_until(Deadline::after_ms(5));
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
    // What it left behind, where its PID namespace was not its own.
    co_await kill_cgroup(node, container);
  }
  container->phase = state::v1::CONTAINER_REMOVING;
  container->rootfs.reset();
  Result<records::ContainerRecord> record = records::load_container(node.state, id);
  if (record.ok()) note_removal(node, *record);
  co_await forget_process(node, container);
  co_await node.resources.cleanup(sandbox_id, id);
  co_await remove_snapshot(node, id);
  // The volumes of an unreadable record are swept at the next start.
  if (record.ok()) co_await remove_image_volumes(node, *record);
  Result<bool> erased = node.state.erase(records::kContainers, id);
  co_await std::move(erased);
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
