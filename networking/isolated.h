// SPDX-License-Identifier: Apache-2.0
// The network "isolated": every pod gets a network namespace of its own in which only loopback is
// up. It has no address; containers of the pod reach each other on 127.0.0.1 and ::1.
#pragma once

#include <map>

#include "core/namespaces/namespace_pool.h"
#include "plugins/api/network.h"
#include "plugins/api/network_condition.h"

namespace berth::networking {

class IsolatedNetwork final : public plugins::Network {
 public:
  // The pool makes sets of net, ipc and uts namespaces and outlives the network.
  explicit IsolatedNetwork(NamespacePool& pool);

  std::string_view name() const override { return "isolated"; }
  // Remembers the namespaces of living pods.
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  // The pods have no address, so the CIDRs change nothing.
  Task<void> configure(plugins::NetworkConfig config) override;
  // unimplemented: host ports, because the pod has no address to which they could be forwarded.
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(plugins::NetworkPod pod) override;
  plugins::NetworkStatus status() override { return condition_.status(); }
  Task<void> status_changed(std::uint64_t seen) override { return condition_.changed(seen); }
  // Absent: nothing leaves the pod.
  Task<std::optional<plugins::NetworkCounters>> counters(std::string pod_id) override;
  Task<void> close() override;

 private:
  NamespacePool& pool_;
  plugins::NetworkCondition condition_;
  // A second attach of a pod gives the first one's namespace.
  std::map<std::string, UniqueFd> attached_;
};

}  // namespace berth::networking
