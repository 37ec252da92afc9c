// SPDX-License-Identifier: Apache-2.0
// A network decides what network namespace a pod has and what is in it.
//
//   attach(pod) --> the pod has a namespace and addresses --detach(pod)--> nothing of it is left
//
// Rules. attach is called once for each pod id; a second attach of the same id gives the first
// one's result. detach tolerates an unknown id and a namespace that is gone, and may be called
// again. status() is asked before every sandbox and by the CRI Status: it is cheap and never
// blocks. After a restart of the agent recover() hears which pods live, with their namespaces, and
// drops everything else it made. Errors: unavailable (not ready: `status` says why),
// resource_exhausted (no address left), invalid_argument (a port mapping that cannot be), internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/task/task.h"

namespace berth::plugins {

struct PortMapping {
  enum class Protocol { tcp, udp, sctp };
  Protocol protocol = Protocol::tcp;
  std::uint16_t container_port = 0;
  std::uint16_t host_port = 0;  // 0: none
  std::string host_ip;          // empty: every address
};

struct NetworkRequest {
  std::string pod_id;
  std::string pod_name;
  std::string pod_namespace;
  std::string pod_uid;
  std::vector<PortMapping> port_mappings;
};

struct NetworkAttachment {
  UniqueFd netns;                // not valid: the pod uses the host's namespace
  std::vector<std::string> ips;  // the first is the pod's address; empty when it has none
};

struct NetworkPod {
  std::string pod_id;
  UniqueFd netns;
};

struct NetworkStatus {
  bool ready = false;  // attach works
  // A pod has an address that the node and other pods reach, which is what a kubelet needs.
  bool is_reachable = false;
  // Of the one that is false: for the CRI's NetworkReady condition.
  std::string reason;   // CamelCase
  std::string message;  // a sentence
};

class Network {
 public:
  virtual ~Network() = default;

  virtual std::string_view name() const = 0;
  virtual Task<void> recover(std::vector<NetworkPod> living) = 0;
  virtual Task<NetworkAttachment> attach(NetworkRequest request) = 0;
  virtual Task<void> detach(std::string pod_id) = 0;
  virtual NetworkStatus status() = 0;
  // Called once before the agent ends in order; pods stay as they are.
  virtual Task<void> close() = 0;
};

}  // namespace berth::plugins
