// SPDX-License-Identifier: Apache-2.0
// The network "isolated": every pod gets a network namespace of its own in which only loopback is
// up. It has no address; containers of the pod reach each other on 127.0.0.1 and ::1.
#pragma once

#include <map>

#include "core/namespaces/namespace_pool.h"
#include "plugins/api/network.h"

namespace berth::networking {

class IsolatedNetwork final : public plugins::Network {
 public:
  // Keeps `pool_size` namespaces ready.
  IsolatedNetwork(Ring& ring, std::size_t pool_size);

  std::string_view name() const override { return "isolated"; }
  // Remembers the namespaces of living pods and begins to fill the pool.
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  // unimplemented: host ports, because the pod has no address to which they could be forwarded.
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  Task<void> detach(std::string pod_id) override;
  plugins::NetworkStatus status() override;
  Task<void> close() override;

 private:
  NamespacePool pool_;
  // A second attach of a pod gives the first one's namespace.
  std::map<std::string, UniqueFd> attached_;
};

}  // namespace berth::networking
