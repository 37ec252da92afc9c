// SPDX-License-Identifier: Apache-2.0
// A network decides what network namespace a pod has and what is in it.
//
//   attach(pod) --> the pod has a namespace and addresses --detach(pod)--> nothing of it is left
//
// Rules.
// - attach is called once for each pod id; a second attach of the same id gives the first one's
//   network namespace and result, and no ipc and uts namespaces. An attach that fails or is
//   cancelled leaves nothing that detach does not remove.
// - detach hears what attach was told and what it gave (empty when that is not known: attach had
//   not returned). It tolerates an unknown id and a namespace that is gone, and may be called
//   again. Calls for one pod are serialised by the caller.
// - status() is asked before every attach and by the CRI's Status: it is cheap and never blocks. It
//   may change at any time; status_changed() wakes whoever waits for that.
// - After a restart of the agent recover() comes once before every other call. It hears which pods
//   live, with their namespaces and results, and drops everything else that the network made.
// - configure() may come at any time, also repeatedly with the same values. Pods that are attached
//   keep what they have.
// Errors: unavailable (not ready: `status` says why), resource_exhausted (no address left),
// already_exists (a host port that another pod holds), invalid_argument (names the field of the
// CRI's config that cannot be), unimplemented (this network has no such thing), internal.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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

// Named as in the CRI's DNSConfig and the CNI's result.
struct NetworkDns {
  std::vector<std::string> nameservers{};
  std::string domain{};
  std::vector<std::string> search{};
  std::vector<std::string> options{};

  bool empty() const {
    return nameservers.empty() && domain.empty() && search.empty() && options.empty();
  }
};

struct NetworkRequest {
  std::string pod_id{};
  std::string pod_name{};
  std::string pod_namespace{};
  std::string pod_uid{};
  std::map<std::string, std::string> annotations{};  // of the pod
  std::vector<PortMapping> port_mappings{};
  NetworkDns dns{};             // of the pod's config
  std::string cgroup_parent{};  // of the pod's config; empty: none
};

struct NetworkInterface {
  std::string name{};                    // in the pod: "eth0"
  std::string mac{};                     // "02:0a:58:00:00:02"
  std::vector<std::string> addresses{};  // with prefix length: "10.88.0.2/32"
  std::uint32_t mtu = 0;                 // 0: not known
};

struct NetworkRoute {
  std::string destination{};  // "0.0.0.0/0"
  std::string gateway{};      // empty: none
};

// What a pod has, as plain data. The caller keeps it with the pod's record.
struct NetworkResult {
  std::vector<std::string> ips{};  // the first is the pod's address; empty when it has none
  std::vector<NetworkInterface> interfaces{};
  std::vector<NetworkRoute> routes{};
  NetworkDns dns{};     // of use to a pod whose config names no server
  std::string saved{};  // bytes of the network's own, at most 16 KiB, for recover and detach
};

struct NetworkAttachment {
  UniqueFd netns{};  // not valid: the pod uses the host's namespace
  // Made together with netns, the caller's from now on; not valid: the runtime handler makes them.
  UniqueFd ipc{};
  UniqueFd uts{};
  NetworkResult result{};
  // What attach waited for: the name of the step and its end in microseconds since attach began.
  std::vector<std::pair<std::string, std::int64_t>> steps{};
};

// A pod that attach was called for.
struct NetworkPod {
  NetworkRequest request{};
  NetworkResult result{};
  UniqueFd netns{};  // a duplicate; not valid: lost, or the host's
};

struct NetworkStatus {
  bool ready = false;  // attach works
  // The operator has given it what it needs (a configuration file, a pod CIDR), or it needs none.
  bool configured = true;
  // A pod has an address that the node and other pods reach, which is what a kubelet needs.
  bool is_reachable = false;
  // Of the one that is false: for the CRI's NetworkReady condition.
  std::string reason{};   // CamelCase
  std::string message{};  // a sentence
  // Grows with each change of the members above.
  std::uint64_t generation = 0;
};

struct NetworkConfig {
  std::vector<std::string>
      pod_cidrs{};  // of this node; one or two families, in order of preference
};

// Since the pod began; `rx` is what the pod received.
struct NetworkCounters {
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_errors = 0;
  std::uint64_t rx_dropped = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_errors = 0;
  std::uint64_t tx_dropped = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  virtual std::string_view name() const = 0;
  virtual Task<void> recover(std::vector<NetworkPod> living) = 0;
  // invalid_argument names the CIDR; what was configured before stays then. A network that assigns
  // no addresses itself takes note of nothing.
  virtual Task<void> configure(NetworkConfig config) = 0;
  virtual Task<NetworkAttachment> attach(NetworkRequest request) = 0;
  virtual Task<void> detach(NetworkPod pod) = 0;
  virtual NetworkStatus status() = 0;
  // Returns when status().generation differs from `seen`. Several may wait. Cancelled by close.
  virtual Task<void> status_changed(std::uint64_t seen) = 0;
  // Absent: this network does not count, or the pod is not attached.
  virtual Task<std::optional<NetworkCounters>> counters(std::string pod_id) = 0;
  // Called once before the agent ends in order; pods stay as they are.
  virtual Task<void> close() = 0;
};

}  // namespace berth::plugins
