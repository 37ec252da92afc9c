// SPDX-License-Identifier: Apache-2.0
// CRI: "ListContainers lists all containers by filters." Answered from memory.
#include "cri/container/calls.h"
#include "cri/selector.h"

namespace berth::cri {

namespace v1 = runtime::v1;

v1::ContainerState state_of(const Container& container) {
  switch (container.phase) {
    case state::v1::CONTAINER_CREATING:
    case state::v1::CONTAINER_CREATED:
      return v1::ContainerState::CONTAINER_CREATED;
    case state::v1::CONTAINER_RUNNING:
      return v1::ContainerState::CONTAINER_RUNNING;
    case state::v1::CONTAINER_EXITED:
    case state::v1::CONTAINER_REMOVING:
      return v1::ContainerState::CONTAINER_EXITED;
    default:
      return v1::ContainerState::CONTAINER_UNKNOWN;
  }
}

Task<v1::ListContainersResponse> list_containers(Node& node,
                                                 const v1::ListContainersRequest& request) {
  const v1::ContainerFilter& filter = request.filter();
  v1::ListContainersResponse response;
  for (const auto& [id, container] : node.pods.containers()) {
    if (container->phase == state::v1::CONTAINER_CREATING) continue;
    if (!filter.id().empty() && filter.id() != id) continue;
    if (!filter.pod_sandbox_id().empty() &&
        filter.pod_sandbox_id() != container->item.pod_sandbox_id()) {
      continue;
    }
    const v1::ContainerState state = state_of(*container);
    if (filter.has_state() && filter.state().state() != state) continue;
    if (!labels_match(filter.label_selector(), container->item.labels())) continue;
    v1::Container* item = response.add_containers();
    *item = container->item;
    item->set_state(state);
  }
  co_return response;
}

}  // namespace berth::cri
