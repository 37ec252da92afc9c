// SPDX-License-Identifier: Apache-2.0
// Waiting for a process by its pidfd.
#pragma once

#include <sys/wait.h>

#include "core/ring/ring.h"

namespace berth {

// Waits until the process has the state that `options` asks for (WEXITED, with WNOWAIT to leave it
// a zombie) and gives what waitid(2) fills in. One operation where the kernel has IORING_OP_WAITID
// (6.7); before, a poll of the pidfd and then waitid(WNOHANG), which knows WEXITED only. ECHILD if
// the process is not our child. `pidfd` stays open until the task ends.
Task<siginfo_t> waitid_pidfd(Ring& ring, int pidfd, int options = WEXITED);

}  // namespace berth
