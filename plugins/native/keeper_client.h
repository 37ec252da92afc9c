// SPDX-License-Identifier: Apache-2.0
// KeeperClient: the agent's side of the keeper. It finds the living keeper of a state directory or
// starts one, replaces the program of one that is of another build, and when the keeper dies starts
// another and hands everything over; containers do not notice.
//
//   std::unique_ptr<KeeperClient> keeper =
//       co_await KeeperClient::connect_or_start(ring, log, options, Deadline::after_ms(5000));
//   plugins::Started started = co_await keeper->launch(std::move(launch), deadline);
//   plugins::Exit ended = co_await keeper->next_exit();     // for ever; one caller
//   co_await keeper->forget(ended.id, deadline);
//   co_await keeper->close();                               // the keeper and the containers go on
//
// Its parts: keeper_start (the peer), keeper_connection (messages), keeper_handover (common
// knowledge), keeper_processes and keeper_descriptors (that knowledge). Here is what happens when.
//
// Single-threaded: everything on the loop of `ring`. Errors of every request: unavailable when the
// keeper died meanwhile and the request cannot be repeated (a launch was undone),
// deadline_exceeded, and the keeper's own refusal with its step as `op`.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/ring/ring.h"
#include "core/task/deadline.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"
#include "plugins/api/runtime_handler.h"
#include "plugins/native/keeper_connection.h"
#include "plugins/native/keeper_descriptors.h"
#include "plugins/native/keeper_handover.h"
#include "plugins/native/keeper_processes.h"

namespace berth::native {

struct KeeperOptions {
  std::string binary;     // path of berth-keeper
  std::string state_dir;  // holds keeper.sock, keeper.lock and keeper.table
};

class KeeperClient final : private KeeperEvents {
 public:
  // Errors: unavailable with the keeper's own start-up line (io_uring disabled, another keeper,
  // ...).
  static Task<std::unique_ptr<KeeperClient>> connect_or_start(Ring& ring, Log& log,
                                                              KeeperOptions options,
                                                              Deadline deadline);
  KeeperClient(const KeeperClient&) = delete;
  KeeperClient& operator=(const KeeperClient&) = delete;
  ~KeeperClient();
  // Ends the client; to be awaited before destruction. next_exit() then fails with cancelled.
  Task<void> close();

  // Ends when the program was executed, or with the failing step and errno; then nothing is left.
  // already_exists: a process of this id is in the table.
  Task<plugins::Started> launch(KeeperLaunch launch, Deadline deadline);
  // When it ends everything written before is complete in the old file. unavailable: another one of
  // this process is under way.
  Task<void> reopen_log(std::string id, UniqueFd log, Deadline deadline);
  // Drops the keeper's and the client's write end of stdin: the process reads end of file.
  Task<void> close_stdin(std::string id, Deadline deadline);
  // Forgets an ended process, after what is still readable of its output was logged.
  // failed_precondition: it runs. Unknown: fine.
  Task<void> forget(std::string id, Deadline deadline);

  // Descriptors that outlive the agent. 1..8 of them under a key; hold of a known key replaces.
  Task<void> hold(std::string key, std::vector<UniqueFd> fds, Deadline deadline);
  Task<void> drop(std::string key, Deadline deadline);
  Result<std::vector<UniqueFd>> held(const std::string& key) const {
    return descriptors_.copies(key);
  }
  std::vector<std::string> held_keys() const { return descriptors_.keys(); }

  // What the keeper knew when the client connected, kept up to date since.
  std::vector<KnownProcess> list() const { return processes_.list(); }
  std::optional<KnownProcess> find(const std::string& id) const { return processes_.find(id); }
  // The next end of a process. Ends that happened while no agent was connected come first, again
  // after every connect until forget().
  Task<plugins::Exit> next_exit() { return processes_.next_exit(); }
  Task<void> wait_exit(std::string id) { return processes_.wait_exit(std::move(id)); }

  // Replaces the keeper's program by the one at `path`; everything goes on.
  Task<void> reexec(std::string path, Deadline deadline);
  // Ends the keeper; failed_precondition unless its table is empty. Then only close() is left to
  // do.
  Task<void> shutdown(Deadline deadline);

  pid_t pid() const noexcept { return pid_; }
  // Of the keeper's program; empty: it has none.
  const std::string& build() const noexcept { return build_; }
  // How often this client started a keeper, the first included.
  unsigned starts() const noexcept { return starts_; }
  bool holds_nothing() const { return processes_.empty() && descriptors_.empty(); }

 private:
  KeeperClient(Ring& ring, Log& log, KeeperOptions options);

  Task<void> supervise();
  Task<void> establish(Deadline deadline);
  Task<void> renew(Deadline deadline);
  Task<void> wait_keeper_ended();

  void process_exited(const keeper::ExitRecord& record) override;
  void reap_please(std::string id) override;
  void launch_answered(const std::string& id, const keeper::Header& header,
                       keeper::Incoming& message) override;
  void foreign_launch_answered(const std::string& id, const keeper::Header& header,
                               keeper::Incoming& message) override;
  void launch_abandoned(const std::string& id, bool sent) override;
  void disconnected() override;

  Task<void> answer_reap(std::string id);
  Task<void> forget_abandoned(std::string id);
  // When connected. repeat: again when the keeper died meanwhile.
  Task<KeeperAnswer> request(KeeperRequest request, Deadline deadline);
  Task<void> repeat(keeper::MessageType type, std::string name, std::vector<int> fds,
                    Deadline deadline);
  Task<void> wait_connected(Deadline deadline);
  KeeperShared shared() { return {processes_, descriptors_, staging_}; }

  Ring& ring_;
  Log& log_;
  const KeeperOptions options_;
  Scope scope_;
  KeeperConnection connection_;
  KeeperProcesses processes_;
  KeeperDescriptors descriptors_;
  std::vector<UniqueFd> staging_;
  UniqueFd pidfd_;
  pid_t pid_ = 0;
  std::string build_;
  unsigned plan_version_ = 0;
  unsigned starts_ = 0;
  bool closing_ = false;
  Event connected_;
};

}  // namespace berth::native
