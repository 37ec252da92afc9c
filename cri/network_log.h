// SPDX-License-Identifier: Apache-2.0
// Logs when a network becomes ready or stops being ready.
#pragma once

#include "core/base/log.h"
#include "core/task/task.h"
#include "plugins/api/network.h"

namespace berth::cri {

// Runs until the network is closed. Logs nothing for the status that it finds.
Task<void> log_network_changes(Log& log, plugins::Network& network);

}  // namespace berth::cri
