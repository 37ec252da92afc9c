// SPDX-License-Identifier: Apache-2.0
// The messages that bring an agent and a keeper to the same knowledge, at the start of a
// connection: hello, then to a keeper that replaced a dead one everything that it had, then what
// the keeper has.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/task/deadline.h"
#include "core/task/task.h"
#include "plugins/native/keeper_connection.h"
#include "plugins/native/keeper_descriptors.h"
#include "plugins/native/keeper_processes.h"

namespace berth::native {

struct KeeperGreeting {
  pid_t pid = 0;
  bool fresh = false;  // it waits for everything that its predecessor had
  unsigned plan_version = 0;
};

// What both sides share. `staging` are the pipes of the keeper's log pump.
struct KeeperShared {
  KeeperProcesses& processes;
  KeeperDescriptors& descriptors;
  std::vector<UniqueFd>& staging;
};

Task<KeeperGreeting> greet_keeper(KeeperConnection& connection, std::vector<UniqueFd>& staging,
                                  Deadline deadline);
Task<void> hand_over(KeeperConnection& connection, KeeperShared shared, Deadline deadline);
// The ids of processes that are to be forgotten: of launches without a waiting caller.
Task<std::vector<std::string>> learn_all(KeeperConnection& connection, KeeperShared shared,
                                         Deadline deadline);
// The build ID of the keeper's program; empty: a keeper from before there was this request.
Task<std::string> ask_build(KeeperConnection& connection, Deadline deadline);

}  // namespace berth::native
