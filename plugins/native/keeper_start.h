// SPDX-License-Identifier: Apache-2.0
// Reaching the keeper of a state directory: connecting to the one that runs, or starting one.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::native {

struct KeeperPeer {
  UniqueFd socket;  // SOCK_SEQPACKET, for one agent
  UniqueFd pidfd;
  pid_t pid = 0;
};

// Errors: ENOENT or unavailable (ECONNREFUSED) when no keeper runs; permission_denied when the
// listener is not root's.
Result<KeeperPeer> connect_keeper(const std::string& state_dir);
// A child in a session of its own, which runs from a read-only mount of `binary`
// (core/keeper/program.h). What fails in it comes as its first message.
Result<KeeperPeer> start_keeper(const std::string& state_dir, const std::string& binary);

}  // namespace berth::native
