// SPDX-License-Identifier: Apache-2.0
// The network "host": the pod shares the node's network namespace and has no address of its own.
#pragma once

#include "plugins/api/network.h"
#include "plugins/api/network_condition.h"

namespace berth::networking {

class HostNetwork final : public plugins::Network {
 public:
  HostNetwork();

  std::string_view name() const override { return "host"; }
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  // No pod has an address of its own, so the CIDRs change nothing.
  Task<void> configure(plugins::NetworkConfig config) override;
  // invalid_argument: a port mapping with two different numbers, because the container uses the
  // host's ports itself.
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(plugins::NetworkPod pod) override;
  plugins::NetworkStatus status() override { return condition_.status(); }
  Task<void> status_changed(std::uint64_t seen) override { return condition_.changed(seen); }
  // Absent: the pod's packets are the host's.
  Task<std::optional<plugins::NetworkCounters>> counters(std::string pod_id) override;
  Task<void> close() override;

 private:
  plugins::NetworkCondition condition_;
};

}  // namespace berth::networking
