// SPDX-License-Identifier: Apache-2.0
// A runtime handler launches the processes of containers and knows how they ended.
//
//   launch(container) --> running --(ends)--> next_exit() reports it --> remove(container)
//          exec(container, process) --> running --(ends)--> next_exit() reports it, nothing to
//          remove
//
// Rules. launch returns when the program has been executed; if any step of getting there fails it
// returns that step and its errno and nothing is left. The processes do not end with the agent:
// after a restart recover() tells what lives and what ended meanwhile; an exit is reported until
// remove(). An exit code that cannot be known is reported as unknown, never invented. Ids
// are 1..128 bytes. Errors: not_found (no such container, command not in the container),
// permission_denied (not executable), failed_precondition (already launched), internal; `op` names
// the failing step.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/oci/spec.h"
#include "core/task/task.h"
#include "plugins/api/resources.h"

namespace berth::plugins {

// Where the process's standard streams go.
struct Stdio {
  // The handler makes the pipes (or the terminal) and writes what comes out to this file in the CRI
  // log format. It stays open and is written to by nobody else. Not valid: the output is discarded.
  UniqueFd log_file;
  // Logged containers only: keep a writable stdin for a later attach; otherwise it reads as empty.
  bool open_stdin = false;
  bool stdin_once = false;
  // Instead of a log: these become 0, 1, 2 of the process. All three valid or none.
  UniqueFd in, out, err;
};

struct LaunchRequest {
  std::string container_id;
  oci::Spec spec;
  UniqueFd rootfs;  // detached mount of the root filesystem
  Placement placement;
  Stdio stdio;
  // The namespaces of spec.namespaces whose mode is join, owned here so that they outlive the call.
  std::vector<UniqueFd> owned_fds;
};

struct ExecRequest {
  std::string container_id;  // whose namespaces are entered
  std::string exec_id;       // unique; reported by next_exit
  oci::Process process;
  oci::SeccompProgram seccomp;
  Placement placement;
  Stdio stdio;
};

struct Launched {
  pid_t pid = 0;  // in the agent's PID namespace
  UniqueFd pidfd;
  std::int64_t started_at_ns = 0;  // Unix time of the exec
};

struct Exit {
  std::string id;                   // container_id or exec_id
  std::optional<int> exit_code;     // 128 + signal when killed by one; absent: unknown
  std::int64_t finished_at_ns = 0;  // Unix time
};

struct Living {
  std::string container_id;
  pid_t pid = 0;
  UniqueFd pidfd;
  std::int64_t started_at_ns = 0;
};

struct Recovered {
  std::vector<Living> living;
  std::vector<Exit> exited;
};

class RuntimeHandler {
 public:
  virtual ~RuntimeHandler() = default;

  virtual std::string_view name() const = 0;
  virtual Task<Recovered> recover() = 0;
  virtual Task<Launched> launch(LaunchRequest request) = 0;
  virtual Task<Launched> exec(ExecRequest request) = 0;
  // Sends to the container's first process. A process that is gone is not an error.
  virtual Task<void> signal(std::string container_id, int signal_number) = 0;
  // From now on output goes to `log_file`; what was written before is complete in the old one.
  virtual Task<void> reopen_log(std::string container_id, UniqueFd log_file) = 0;
  // The next end of a launched process, in order. One caller at a time waits here for ever.
  virtual Task<Exit> next_exit() = 0;
  // Forgets an ended container. Unknown: fine.
  virtual Task<void> remove(std::string container_id) = 0;
};

}  // namespace berth::plugins
