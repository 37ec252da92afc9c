// SPDX-License-Identifier: Apache-2.0
// A runtime handler runs the processes of sandboxes and containers and knows how they ended. It
// keeps what a sandbox's containers share (namespaces, the sandbox's init), and nothing above it
// holds a process or a namespace of a pod.
//
//   start_sandbox --> ready --stop_sandbox--> nothing of it is left
//     check(spec) --> start(container) --> running --(ends)--> next_exit --> remove(container)
//                     exec(container, process) --> running --(ends)--> next_exit, nothing to remove
//
// Rules.
// - start and exec return when the program has been executed; if any step of getting there fails
//   they return that step and its errno, and nothing is left. start_sandbox is the same.
// - Processes do not end with the agent. After a restart recover() hears what should be there, ends
//   and drops everything else that the handler has, and tells what lives and what ended meanwhile.
//   recover() comes once, before every other call.
// - An exit is reported by next_exit, again after a restart, until remove() (stop_sandbox for a
//   sandbox's init). The report may come before start() has returned. An exit code that cannot be
//   known is reported as unknown, never invented.
// - remove and stop_sandbox may come for an unknown id and are then harmless; both may be called
//   again. Calls for one id are serialised by the caller but for signal, kill_exec and stdio calls.
// - The handler writes the container's log in the format of the CRI to the file it was given. A
//   handler that starts processes by other programs gets this from berth's keeper.
// - Ids are 1..120 bytes, those of sandboxes, containers and execs are different.
// Errors: not_found (no such container; the command is not in it), permission_denied (not
// executable), failed_precondition (already started, not running, a sandbox that lost its
// namespaces), invalid_argument (a spec that this handler cannot launch; names the member),
// unimplemented, internal; `op` names the failing step.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/oci/spec.h"
#include "core/task/task.h"
#include "plugins/api/resources.h"

namespace berth::plugins {

// Which namespaces the containers of a sandbox share. False: the host's; for pid: none is shared.
struct SandboxNamespaces {
  bool network = true;
  bool ipc = true;
  bool uts = true;
  bool pid = false;
};

struct SandboxRequest {
  std::string sandbox_id{};
  SandboxNamespaces namespaces{};
  UniqueFd netns{};  // made by the network plugin; not valid: the host's
  // Made together with netns; not valid: the handler makes those that `namespaces` asks for.
  UniqueFd ipc{};
  UniqueFd uts{};
  std::string hostname{};  // set when namespaces.uts
  // "net.ipv4.ip_forward" -> "1"; of the shared namespaces only, the caller has checked that.
  std::map<std::string, std::string> sysctl{};
  // Of the init, when namespaces.pid.
  Placement placement{};
  int oom_score_adj = 0;
  // Descriptors of the caller that outlive the agent: recover gives them back. At most 3.
  std::vector<UniqueFd> kept{};
};

struct SandboxStatus {
  std::string sandbox_id{};
  // False: a namespace or the init is gone, no container can be started; `lost` says what.
  bool ready = false;
  std::string lost{};
  pid_t init_pid = 0;            // 0: it has none
  UniqueFd netns{};              // a duplicate; not valid: the host's
  std::vector<UniqueFd> kept{};  // duplicates in the order of SandboxRequest; empty: lost
};

// Where the process's standard streams go.
struct Stdio {
  // The handler makes the pipes (or the terminal) and writes what comes out to this file in the CRI
  // log format. It stays open and has no other writer. Not valid: the output is discarded.
  UniqueFd log_file{};
  // Logged containers only: keep a writable stdin for a later attach; otherwise it reads as empty.
  bool open_stdin = false;
  bool stdin_once = false;
  // Instead of a log: these become 0, 1, 2 of the process. out and err are valid or none is; `in`
  // not valid reads as empty.
  UniqueFd in{}, out{}, err{};
};

// The opened source of one entry of spec.mounts, a detached tree (open_tree or fsmount).
struct MountTree {
  std::size_t mount = 0;  // index
  UniqueFd tree{};
  bool is_directory = true;
};

struct StartRequest {
  std::string sandbox_id{};
  std::string container_id{};
  oci::Spec spec{};
  UniqueFd rootfs{};  // detached mount of the root filesystem
  // One for each entry of spec.mounts whose type is "bind"; there is no "cgroup" entry left.
  std::vector<MountTree> mounts{};
  Placement placement{};
  Stdio stdio{};
};

struct ExecRequest {
  std::string container_id{};  // whose namespaces are entered
  std::string exec_id{};       // reported by next_exit
  oci::Process process{};
  std::shared_ptr<const oci::Seccomp> seccomp{};
  Placement placement{};
  Stdio stdio{};
};

// A process that was started.
struct Started {
  pid_t pid = 0;                   // in the agent's PID namespace
  std::int64_t started_at_ns = 0;  // Unix time of the exec
  // When the steps of the launch were done, in order: name and microseconds since the launch began.
  std::vector<std::pair<std::string, std::int64_t>> stages{};
};

struct Exit {
  enum class Of { container, exec, sandbox };
  Of of = Of::container;
  std::string id{};                 // of the container, the exec or the sandbox
  std::optional<int> exit_code{};   // 128 + signal when killed by one; absent: unknown
  std::int64_t finished_at_ns = 0;  // Unix time; 0: unknown
};

// What the caller has on record, for recover.
struct KnownSandbox {
  std::string sandbox_id{};
  SandboxNamespaces namespaces{};
  std::vector<std::string> container_ids{};
};

struct Living {
  std::string container_id{};
  pid_t pid = 0;
  std::int64_t started_at_ns = 0;
  // Its log went with the agent and the keeper: reopen_log gives it a new one; until then it may
  // stop at its next line.
  bool log_lost = false;
};

struct Recovered {
  std::vector<SandboxStatus> sandboxes{};  // of those known that are there
  std::vector<Living> living{};
  std::vector<Exit> exited{};        // of containers; next_exit may report them again
  std::vector<std::string> ended{};  // sentences: what belonged to nothing known and was ended
};

// Named as in the CRI.
struct RuntimeFeatures {
  bool recursive_read_only_mounts = false;
  bool user_namespaces = false;
};

class RuntimeHandler {
 public:
  virtual ~RuntimeHandler() = default;

  virtual std::string_view name() const = 0;
  virtual Task<Recovered> recover(std::vector<KnownSandbox> known) = 0;

  virtual Task<SandboxStatus> start_sandbox(SandboxRequest request) = 0;
  virtual Task<void> stop_sandbox(std::string sandbox_id) = 0;
  // not_found: never started, or stopped.
  virtual Task<SandboxStatus> sandbox_status(std::string sandbox_id) = 0;
  // Replaces SandboxRequest::kept of a sandbox that is ready: recover had lost them.
  virtual Task<void> keep(std::string sandbox_id, std::vector<UniqueFd> kept) = 0;

  // Refuses at Create what start would refuse: nothing is made. A handler may use it to prepare
  // (compile a filter). `spec` outlives the task.
  virtual Task<void> check(const oci::Spec& spec) = 0;
  virtual Task<Started> start(StartRequest request) = 0;
  virtual Task<Started> exec(ExecRequest request) = 0;
  // To the first process of a container. A process that is gone is not an error.
  virtual Task<void> signal(std::string container_id, int signal_number) = 0;
  // Ends an exec and its process group by SIGKILL; its exit is reported. Gone: fine.
  virtual Task<void> kill_exec(std::string exec_id) = 0;
  // The next end of a process, in order. One caller waits here for ever; cancelled by close.
  virtual Task<Exit> next_exit() = 0;
  // Forgets an ended container. Unknown: fine. failed_precondition: it runs.
  virtual Task<void> remove(std::string container_id) = 0;

  // From now on output goes to `log_file`; what was written before is complete in the old one.
  virtual Task<void> reopen_log(std::string container_id, UniqueFd log_file) = 0;
  // A duplicate of the write end of stdin, or of the terminal's master, of a container or exec;
  // not valid: it has none.
  virtual Task<UniqueFd> stdin_of(std::string id) = 0;
  // The process reads end of file.
  virtual Task<void> close_stdin(std::string id) = 0;

  // What a kubelet may rely on.
  virtual RuntimeFeatures features() const { return {}; }
  // What the handler's parts are, for `berth version` and `berth doctor`: "keeper" -> its build.
  virtual std::map<std::string, std::string> versions() const { return {}; }
  // Facts for the verbose Status of the CRI: "keeper_pid" -> "1234".
  virtual std::map<std::string, std::string> info() const { return {}; }
  // Called once before the agent ends in order. Processes go on.
  virtual Task<void> close() = 0;
};

}  // namespace berth::plugins
