// SPDX-License-Identifier: Apache-2.0
// Counters of an interface in another network namespace, from /proc/thread-self/net/dev, proc(5).
#pragma once

#include <optional>
#include <string>

#include "core/base/result.h"
#include "plugins/api/network.h"

namespace berth::networking::cni {

// The calling thread visits the namespace: call it on an offload thread. Absent: no such interface.
Result<std::optional<plugins::NetworkCounters>> read_counters(int netns, const std::string& ifname);

}  // namespace berth::networking::cni
