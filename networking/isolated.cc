// SPDX-License-Identifier: Apache-2.0
#include "networking/isolated.h"

#include <utility>

namespace berth::networking {

IsolatedNetwork::IsolatedNetwork(NamespacePool& pool)
    : pool_(pool),
      condition_({.ready = true,
                  .is_reachable = false,
                  .reason = "PodsHaveNoAddress",
                  .message = "network isolated gives pods no address; start berthd with "
                             "--network isolated if they need none"}) {}

Task<void> IsolatedNetwork::recover(std::vector<plugins::NetworkPod> living) {
  attached_.clear();
  for (plugins::NetworkPod& pod : living) attached_[pod.request.pod_id] = std::move(pod.netns);
  co_return;
}

Task<void> IsolatedNetwork::configure(plugins::NetworkConfig) {
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
  const std::int64_t begin_ns = monotonic_now_ns();
  TakenNamespaces taken = co_await pool_.take();
  attachment.netns = co_await taken.set.netns.duplicate();
  attachment.ipc = std::move(taken.set.ipc);
  attachment.uts = std::move(taken.set.uts);
  if (taken.made_inline) {
    attachment.steps.emplace_back("namespaces.made_inline", (monotonic_now_ns() - begin_ns) / 1000);
  }
  attached_[request.pod_id] = std::move(taken.set.netns);
  co_return attachment;
}

Task<void> IsolatedNetwork::detach(plugins::NetworkPod pod) {
  attached_.erase(pod.request.pod_id);
  co_return;
}

Task<std::optional<plugins::NetworkCounters>> IsolatedNetwork::counters(std::string) {
  co_return std::nullopt;
}

Task<void> IsolatedNetwork::close() {
  condition_.close();
  attached_.clear();
  co_return;
}

}  // namespace berth::networking
