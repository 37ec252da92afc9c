// SPDX-License-Identifier: Apache-2.0
// The standard streams of a process as the agent makes them: the keeper's ends, which the log pump
// reads, and the process's own. The agent makes them so that it holds duplicates from the
// beginning.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"

namespace berth::keeper {

struct Stdio {
  std::uint8_t flags = 0;  // ProcessFlag
  UniqueFd log;            // O_APPEND
  UniqueFd out, err, in;   // the keeper's ends
  // None with a terminal. Not valid otherwise: the /dev/null of the container.
  UniqueFd child_in, child_out, child_err;
};

struct StdioOptions {
  UniqueFd log = {};  // opened O_APPEND; not valid: what is written is discarded
  bool terminal = false;
  bool open_stdin = false;  // a pipe; otherwise stdin is /dev/null
  bool stdin_once = false;
  uid_t uid = 0;  // who may open /dev/stdout again
  gid_t gid = 0;
};

// Pipes, or nothing but the log for a terminal (the process makes it and the keeper gets the
// master). The process's ends of stdout and stderr are open for reading too, so that writing never
// meets a pipe without reader, even when keeper and agent are both gone for a moment.
Result<Stdio> make_stdio(StdioOptions options);
// The process's streams are the caller's; nothing is logged.
Stdio pass_stdio(UniqueFd in, UniqueFd out, UniqueFd err);

}  // namespace berth::keeper
