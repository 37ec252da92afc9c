// SPDX-License-Identifier: Apache-2.0
// The runtime handlers that a pod can ask for by the CRI's `runtime_handler`, and the networks of
// this node, each by name. A sandbox's record has both names, and every later operation on the
// sandbox or its containers uses the handler and the network of the record.
//
// main fills both before the first call; the plugins are borrowed and outlive them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/network.h"
#include "plugins/api/runtime_handler.h"

namespace berth::cri {

// Of pods that ask for the host's network namespace.
constexpr const char* kHostNetwork = "host";

class Networks {
 public:
  using ByName = std::map<std::string, plugins::Network*, std::less<>>;

  void add(plugins::Network& network);
  // Those that a handler without a chosen network may use, in order of preference; at least one.
  void set_defaults(std::vector<plugins::Network*> preferred) { defaults_ = std::move(preferred); }
  // The first of them that is configured at this moment, else the last.
  plugins::Network& standard() const;
  // What those before it say, each as "NAME: MESSAGE; ".
  std::string why_passed_over() const;
  // Of all networks, one after the other. The first error ends it and names the network.
  Task<void> configure(plugins::NetworkConfig config) const;
  // failed_precondition that lists the known ones.
  Result<plugins::Network*> find(std::string_view name) const;
  const ByName& all() const { return by_name_; }

 private:
  ByName by_name_;
  std::vector<plugins::Network*> defaults_;
};

// One name of `runtime_handler` with its options. Several may share one plugin.
struct Handler {
  std::string name{};
  plugins::RuntimeHandler* runtime = nullptr;
  // Of pods with a network namespace of their own; null: the operator has chosen none.
  plugins::Network* chosen_network = nullptr;
  std::int64_t pids_limit = 0;  // processes in each container; 0: no limit

  // The chosen one, else the node's at this moment.
  plugins::Network& network(const Networks& networks) const {
    return chosen_network != nullptr ? *chosen_network : networks.standard();
  }
};

class Handlers {
 public:
  // The first one is the default. already_exists: the name is taken.
  Status add(Handler handler);
  // Of a request; an empty name is the default one. not_found that lists the known ones.
  Result<const Handler*> find(std::string_view name) const;
  // Of a record. failed_precondition when the operator has removed the handler: to a kubelet,
  // not_found would mean that the sandbox is gone.
  Result<plugins::RuntimeHandler*> runtime(std::string_view name) const;
  const Handler& default_handler() const { return handlers_.front(); }
  const std::vector<Handler>& all() const { return handlers_; }
  // Each plugin once.
  std::vector<plugins::RuntimeHandler*> runtimes() const;

 private:
  const Handler* find_if_exists(std::string_view name) const;
  std::string names() const;

  std::vector<Handler> handlers_;
};

}  // namespace berth::cri
