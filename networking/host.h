// SPDX-License-Identifier: Apache-2.0
// The network "host": the pod shares the node's network namespace and has no address of its own.
#pragma once

#include "plugins/api/network.h"

namespace berth::networking {

class HostNetwork final : public plugins::Network {
 public:
  std::string_view name() const override { return "host"; }
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  // invalid_argument: a port mapping with two different numbers, because the container uses the
  // host's ports itself.
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(std::string pod_id) override;
  plugins::NetworkStatus status() override;
  Task<void> close() override;
};

}  // namespace berth::networking
