// SPDX-License-Identifier: Apache-2.0
// KeeperProcesses: what the agent knows of the processes of a keeper, with a duplicate of every
// descriptor that the keeper has for them, and the queue of exits.
//
// Invariant: a process is here from before its launch is sent until it is forgotten or its launch
// has failed, so a keeper that starts anew can be given everything back. An exit is queued once for
// each agent.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/container/launch.h"
#include "core/keeper/channel.h"
#include "core/keeper/protocol.h"
#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/native/keeper_connection.h"
#include "plugins/native/streams.h"

namespace berth::native {

using keeper::ProcessKind;

// A process to be made. The descriptors of the plan are borrowed until the launch ends.
struct KeeperLaunch {
  std::string id;  // 1..128 bytes
  ProcessKind kind = ProcessKind::container;
  container::EncodedPlan plan;
  StreamEnds streams;
};

// Descriptors are borrowed, valid until the process is forgotten.
struct KnownProcess {
  std::string id;
  ProcessKind kind = ProcessKind::container;
  pid_t pid = 0;
  int pidfd = -1;         // -1 once exited
  int stdin_fd = -1;      // write end of stdin, or the terminal's master
  bool log_lost = false;  // its output is to be logged and the keeper has no log for it
  std::int64_t started_at_ns = 0;
  std::optional<plugins::Exit> exit;
};

class KeeperProcesses {
 public:
  // Logs are closed by tasks in `scope`.
  KeeperProcesses(Ring& ring, Scope& scope) : ring_(ring), scope_(scope) {}

  // invalid_argument: the id; already_exists. The request borrows descriptors of `launch` and of
  // this object.
  Result<KeeperRequest> begin_launch(KeeperLaunch& launch);
  // The keeper's answer: from now on the process is known, or it is gone.
  void launched(const std::string& id, const keeper::Header& header, keeper::Incoming& message);
  // No caller waits for it any more: it is killed when it runs, and `exited` returns true.
  void abandon(const std::string& id, bool sent);
  // A process that only the keeper knew, and that is abandoned.
  void add_abandoned(const std::string& id);
  // True: the caller has it forgotten.
  bool exited(const keeper::ExitRecord& record);
  void forget(const std::string& id);

  // unavailable: another one of this process is under way. The result is a duplicate of `log` for
  // the request. Both files are kept until end_reopen: if the keeper dies meanwhile, only its table
  // knows which of them got the last write.
  Result<UniqueFd> begin_reopen(const std::string& id, UniqueFd log);
  void end_reopen(const std::string& id, UniqueFd duplicate, bool done);
  void close_stdin(const std::string& id);

  std::vector<KnownProcess> list() const;
  std::optional<KnownProcess> find(const std::string& id) const;
  bool empty() const;
  // The next exit, in the order of their arrival; one caller. cancelled after close().
  Task<plugins::Exit> next_exit();
  // Until the process has ended or is not known.
  Task<void> wait_exit(std::string id);
  void close();

  // Handing over to a fresh keeper and learning what a keeper has (keeper_handover.h).
  std::vector<std::string> ids_to_adopt() const;
  std::optional<KeeperRequest> adoption_of(const std::string& id) const;
  void adopted_all();
  // True: the caller has it forgotten.
  bool learn(const keeper::ProcessRecord& record, std::vector<UniqueFd> fds);
  void keep_only(const std::set<std::string>& ids);

 private:
  // The duplicates of one process.
  struct Process {
    keeper::ProcessRecord record;
    UniqueFd pidfd, log, log_next, out, err, in;
    bool reopening = false;
    bool abandoned = false;
  };
  using Slot = std::pair<keeper::FdBit, UniqueFd Process::*>;

  void drop(const std::string& id);
  void close_log(UniqueFd log);
  static void kill(const Process& process);

  static const Slot kSlots[6];

  Ring& ring_;
  Scope& scope_;
  std::map<std::string, Process> processes_;
  std::deque<plugins::Exit> exits_;
  Event exits_ready_;
  std::map<std::string, std::shared_ptr<Event>> waited_for_;
  bool closed_ = false;
};

}  // namespace berth::native
