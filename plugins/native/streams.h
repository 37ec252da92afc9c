// SPDX-License-Identifier: Apache-2.0
// The descriptors of a process's standard streams: the keeper's ends, which its log pump reads, and
// the process's own. The agent makes them, so that it has duplicates of the keeper's from the
// beginning.
#pragma once

#include <cstdint>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"
#include "core/oci/spec.h"
#include "plugins/api/runtime_handler.h"

namespace berth::native {

struct StreamEnds {
  std::uint8_t flags = 0;  // keeper::ProcessFlag
  UniqueFd log;            // O_APPEND
  UniqueFd out, err, in;   // the keeper's ends
  // None with a terminal. Not valid otherwise: the /dev/null of the container.
  UniqueFd child_in, child_out, child_err;
};

// Pipes, or nothing but the log for a terminal (the process makes it and the keeper gets the
// master), or the caller's own descriptors. Pipes belong to the process's user, so that it may open
// /dev/stdout again. The process's ends of stdout and stderr are open for reading too: a write
// never meets a pipe without a reader, even while keeper and agent are both gone.
Result<StreamEnds> make_streams(plugins::Stdio stdio, const oci::Process& process);

}  // namespace berth::native
