// SPDX-License-Identifier: Apache-2.0
// CRI: "ListPodSandbox returns a list of PodSandboxes." Answered from memory: cost is the number of
// pods.
#include "cri/field.h"
#include "cri/sandbox/calls.h"
#include "cri/selector.h"

namespace berth::cri {

namespace v1 = runtime::v1;

v1::PodSandboxState state_of(const Sandbox& sandbox) {
  return sandbox.ready() ? v1::PodSandboxState::SANDBOX_READY
                         : v1::PodSandboxState::SANDBOX_NOTREADY;
}

Task<v1::ListPodSandboxResponse> list_pod_sandbox(Node& node,
                                                  const v1::ListPodSandboxRequest& request) {
  const v1::PodSandboxFilter& filter = request.filter();
  v1::ListPodSandboxResponse response;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    // A client learns the id of its sandbox when that is ready; until then it is not listed.
    if (sandbox->phase == state::v1::SANDBOX_CREATING) continue;
    if (!filter.id().empty() && filter.id() != id) continue;
    const v1::PodSandboxState state = state_of(*sandbox);
    if (filter.has_state() && filter.state().state() != state) continue;
    if (!labels_match(filter.label_selector(), sandbox->item.labels())) continue;
    v1::PodSandbox* item = response.add_items();
    *item = sandbox->item;
    item->set_state(state);
  }
  co_return response;
}

}  // namespace berth::cri
