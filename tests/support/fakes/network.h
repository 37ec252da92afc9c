// SPDX-License-Identifier: Apache-2.0
// A network whose attachments are entries of a table, and whose network namespaces are descriptors
// of /dev/null.
#pragma once

#include <map>
#include <string>

#include "plugins/api/network.h"
#include "tests/support/fakes/faults.h"

namespace berth::fakes {

// Outlives the agent. By pod id: its address.
using Attachments = std::map<std::string, std::string>;

class FakeNetwork final : public plugins::Network {
 public:
  FakeNetwork(std::string name, Attachments& attachments, Faults& faults)
      : name_(std::move(name)), attachments_(attachments), faults_(faults) {}

  std::string_view name() const override { return name_; }
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(std::string pod_id) override;
  plugins::NetworkStatus status() override {
    return {.ready = true, .is_reachable = true, .reason = {}, .message = {}};
  }
  Task<void> close() override { co_return; }

 private:
  std::string name_;
  Attachments& attachments_;
  Faults& faults_;
};

}  // namespace berth::fakes
