// SPDX-License-Identifier: Apache-2.0
// The keeper's program file as containers can meet it. A process that becomes a container has the
// keeper's program until its exec, as /proc/self/exe. So the keeper runs from a mount of that one
// file which is attached nowhere, which is read-only (what is opened through /proc cannot be
// written, nor its mode, owner or attributes be changed), and which is noexec once the keeper runs
// (execve(2) of /proc/self/exe is EACCES, whether as a program or as the interpreter of one). It
// costs one kernel object and no copy of the file.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::keeper {

// The agent's part: the program at `path` as a detached read-only mount, still executable. Errors
// are those of open_tree(2) and mount_setattr(2).
Result<UniqueFd> open_program(const std::string& path);

// The keeper's part, once it runs: `program` is the mount it runs from. The flags stay when the
// descriptor is closed, as long as the process runs.
Status forbid_exec(UniqueFd program);

}  // namespace berth::keeper
