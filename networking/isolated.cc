// SPDX-License-Identifier: Apache-2.0
#include "networking/isolated.h"

#include <sched.h>

#include <utility>

namespace berth::networking {

IsolatedNetwork::IsolatedNetwork(Ring& ring, std::size_t pool_size)
    : pool_(ring, CLONE_NEWNET, pool_size) {}

Task<void> IsolatedNetwork::recover(std::vector<plugins::NetworkPod> living) {
  attached_.clear();
  for (plugins::NetworkPod& pod : living) attached_[pod.pod_id] = std::move(pod.netns);
  pool_.prefill();
  co_return;
}

Task<plugins::NetworkAttachment> IsolatedNetwork::attach(plugins::NetworkRequest request) {
  for (const plugins::PortMapping& mapping : request.port_mappings) {
    if (mapping.host_port == 0) continue;
    co_await fail(Errc::unimplemented, "config.port_mappings: host_port " +
                                           std::to_string(mapping.host_port) +
                                           " needs a network that reaches the pod; this one is "
                                           "isolated");
  }
  plugins::NetworkAttachment attachment;
  const auto present = attached_.find(request.pod_id);
  if (present != attached_.end()) {
    attachment.netns = co_await present->second.duplicate();
    co_return attachment;
  }
  sys::NamespaceSet set = co_await pool_.take();
  attachment.netns = co_await set.netns.duplicate();
  attached_[request.pod_id] = std::move(set.netns);
  co_return attachment;
}

Task<void> IsolatedNetwork::detach(std::string pod_id) {
  attached_.erase(pod_id);
  co_return;
}

plugins::NetworkStatus IsolatedNetwork::status() {
  return {.ready = true,
          .is_reachable = false,
          .reason = "PodsHaveNoAddress",
          .message =
              "network isolated gives pods no address; start berthd with --network isolated "
              "if they need none"};
}

Task<void> IsolatedNetwork::close() {
  co_await pool_.close();
  attached_.clear();
}

}  // namespace berth::networking
