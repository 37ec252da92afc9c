// SPDX-License-Identifier: Apache-2.0
#include "networking/host.h"

namespace berth::networking {

HostNetwork::HostNetwork() : condition_({.ready = true, .is_reachable = true}) {}

Task<void> HostNetwork::recover(std::vector<plugins::NetworkPod>) {
  co_return;
}

Task<void> HostNetwork::configure(plugins::NetworkConfig) {
  co_return;
}

Task<plugins::NetworkAttachment> HostNetwork::attach(plugins::NetworkRequest request) {
  for (const plugins::PortMapping& mapping : request.port_mappings) {
    if (mapping.host_port == 0 || mapping.host_port == mapping.container_port) continue;
    co_await fail(Errc::invalid_argument,
                  "config.port_mappings: host_port " + std::to_string(mapping.host_port) +
                      " cannot differ from container_port " +
                      std::to_string(mapping.container_port) + " on the host's network");
  }
  co_return plugins::NetworkAttachment();
}

Task<void> HostNetwork::detach(plugins::NetworkPod) {
  co_return;
}

Task<std::optional<plugins::NetworkCounters>> HostNetwork::counters(std::string) {
  co_return std::nullopt;
}

Task<void> HostNetwork::close() {
  condition_.close();
  co_return;
}

}  // namespace berth::networking
