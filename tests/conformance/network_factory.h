// SPDX-License-Identifier: Apache-2.0
// What a network's tests make their network with.
#pragma once

#include <vector>

#include "core/ring/ring.h"
#include "plugins/api/network.h"

namespace berth::plugins {

// One node. network() is recovered; restart() is what a new agent would do: the old object is gone
// without a word, the new one recovers with the living pods.
class NetworkFactory {
 public:
  virtual ~NetworkFactory() = default;
  virtual Ring& ring() = 0;
  virtual Network& network() = 0;
  virtual void restart(std::vector<NetworkPod> living) = 0;
  // Pods share the host's network namespace.
  virtual bool is_host() const { return false; }
  // A namespace's descriptor refers to a network namespace, and not to a stand-in.
  virtual bool has_namespaces() const { return true; }
};

}  // namespace berth::plugins
