// SPDX-License-Identifier: Apache-2.0
// The network `cni`: plugins of the CNI specification 0.3.1 to 1.1.0 give pods their addresses.
//
// Plugins get /proc/PID/fd/N of the agent as CNI_NETNS. The agent holds N open from attach to
// detach, so the path is valid as long as the agent lives, and no mount has to be made or removed.
// After a restart the path is another; it is replaced in prevResult too. A plugin whose daemon
// opens the path in another PID namespace cannot use it.
//
// Owned by the agent's main; loop thread only. recover() starts the watch of the directory;
// close() before the destructor.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/namespaces/namespace_pool.h"
#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "networking/cni/chain.h"
#include "networking/cni/conf_dir.h"
#include "plugins/api/network.h"
#include "plugins/api/network_condition.h"

namespace berth::networking {

struct CniOptions {
  std::string conf_dir = "/etc/cni/net.d";
  std::string state_dir{};  // leftovers are in state_dir/cni/leftovers
  cni::ChainOptions chain{};
  std::size_t chains_max = 16;        // at once
  std::int64_t del_ms_max = 10'000;   // for a detach, all plugins together
  std::int64_t retry_ms_min = 1'000;  // before a leftover's next try; doubles up to 5 minutes
  std::int64_t status_ms = 10'000;    // between two STATUS
};

struct CniParts {
  Ring& ring;
  Log& log;
  CniOptions options;
  // Gives a new set with net, ipc and uts, and loopback up: NamespacePool::take.
  std::function<Task<TakenNamespaces>()> take;
};

class CniNetwork final : public plugins::Network {
 public:
  explicit CniNetwork(CniParts parts);

  std::string_view name() const override { return "cni"; }
  Task<void> recover(std::vector<plugins::NetworkPod> living) override;
  // Addresses are the plugins' own; only those with the capability ipRanges hear of the CIDRs.
  Task<void> configure(plugins::NetworkConfig config) override;
  Task<plugins::NetworkAttachment> attach(plugins::NetworkRequest request) override;
  // Succeeds also when a plugin fails: what is left is then on record and tried again.
  Task<void> detach(plugins::NetworkPod pod) override;
  plugins::NetworkStatus status() override { return condition_.status(); }
  Task<void> status_changed(std::uint64_t seen) override { return condition_.changed(seen); }
  Task<std::optional<plugins::NetworkCounters>> counters(std::string pod_id) override;
  Task<void> close() override;

 private:
  struct Pod {
    UniqueFd netns;
    plugins::NetworkResult result;
  };
  class Turn;

  Task<cni::Attachment> prepare(plugins::NetworkRequest request, int netns);
  Task<void> add(cni::Attachment& attachment, cni::Steps& steps);
  Task<void> undo(cni::Attachment& attachment);
  Task<void> free_turn();
  Task<void> del_in_turn(const cni::Attachment& attachment);
  Task<void> check_pod(std::string pod_id);
  // Logs what the request asks for and no plugin of the chain is told.
  void warn_of_unheard(const plugins::NetworkRequest& request);
  Task<cni::Attachment> attachment_of(plugins::NetworkPod& pod);
  Task<void> watch();
  Task<void> scan();
  Task<void> ask_status();
  void publish_unconfigured(std::string message);
  // Of a valid configuration.
  void publish(bool ready, std::string message);
  Task<void> keep_leftover(cni::Attachment attachment);
  Task<void> retry(cni::Attachment attachment);
  std::string leftovers_dir() const { return parts_.options.state_dir + "/cni/leftovers"; }

  CniParts parts_;
  cni::Chain chain_;
  cni::ConfScan scan_;
  std::string logged_;  // the last list of bad files
  std::vector<std::string> pod_cidrs_;
  std::map<std::string, Pod> pods_;
  plugins::NetworkCondition condition_;
  std::size_t chains_ = 0;
  Event chain_ended_;
  Scope scope_;
};

}  // namespace berth::networking
