// SPDX-License-Identifier: Apache-2.0
// Environment: the descriptors and the table that the keeper works with, as startup.cc prepares
// them or as they come through a re-execution.
#pragma once

#include <cstdint>

#include "core/base/unique_fd.h"
#include "core/keeper/table.h"

namespace berth::keeper {

// In the keeper's own root, immutable: cloned over masked paths of containers.
constexpr char kEmptyDirectory[] = "/empty";
constexpr char kEmptyFile[] = "/none";

struct Environment {
  UniqueFd state_dir;
  UniqueFd lock;  // keeper.lock, locked for this process (fcntl: kept by execve, not by fork)
  UniqueFd listener;
  UniqueFd proc_dir;    // procfs, mounted nowhere
  UniqueFd signals;     // signalfd of SIGCHLD
  UniqueFd connection;  // to the agent that started us, if any
  Table table;
  bool fresh = true;                 // not re-executed: what the table names must be given back
  std::uint64_t reexec_request = 0;  // to be answered
};

}  // namespace berth::keeper
