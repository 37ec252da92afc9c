// SPDX-License-Identifier: Apache-2.0
// What the parts of the keeper share. All of it outlives them.
#pragma once

#include "core/keeper/agent_connection.h"
#include "core/keeper/environment.h"
#include "core/keeper/lives.h"
#include "core/keeper/log/pump.h"
#include "core/keeper/outbox.h"
#include "core/ring/raw.h"

namespace berth::keeper {

struct Shared {
  Environment& environment;
  RawRing& ring;
  Lives& lives;
  AgentConnection& agent;
  Outbox& outbox;
  LogPump& pump;
};

}  // namespace berth::keeper
