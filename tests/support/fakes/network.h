// SPDX-License-Identifier: Apache-2.0
// A network whose attachments are entries of a table, and whose network namespaces are descriptors
// of /dev/null.
#pragma once

#include <map>
#include <string>

#include "plugins/api/network.h"
#include "plugins/api/network_condition.h"
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
  Task<void> configure(plugins::NetworkConfig config) override;
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(plugins::NetworkPod pod) override;
  plugins::NetworkStatus status() override { return condition_.status(); }
  Task<void> status_changed(std::uint64_t seen) override { return condition_.changed(seen); }
  Task<std::optional<plugins::NetworkCounters>> counters(std::string pod_id) override;
  Task<void> close() override;

  // From the test: the status from now on.
  void set_status(plugins::NetworkStatus status) { condition_.set(std::move(status)); }

 private:
  std::string name_;
  Attachments& attachments_;
  Faults& faults_;
  plugins::NetworkCondition condition_{{.ready = true, .is_reachable = true}};
};

}  // namespace berth::fakes
