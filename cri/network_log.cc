// SPDX-License-Identifier: Apache-2.0
#include "cri/network_log.h"

#include <string>

namespace berth::cri {

Task<void> log_network_changes(Log& log, plugins::Network& network) {
  const std::string name(network.name());
  plugins::NetworkStatus before = network.status();
  for (;;) {
    co_await network.status_changed(before.generation);
    plugins::NetworkStatus now = network.status();
    if (now.ready && !before.ready) {
      log.info("network", name + " is ready");
    } else if (!now.ready && (before.ready || now.message != before.message)) {
      log.warn("network", name + " is not ready: " + now.message);
    }
    before = std::move(now);
  }
}

}  // namespace berth::cri
