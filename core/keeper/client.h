// SPDX-License-Identifier: Apache-2.0
// KeeperClient: the agent's side of the keeper. It finds the living keeper of a state directory or
// starts one, keeps a duplicate of everything the keeper holds, and when the keeper dies starts
// another and hands all of it over; containers do not notice.
//
//   std::unique_ptr<KeeperClient> keeper =
//       co_await KeeperClient::connect_or_start(ring, log, options, Deadline::after_ms(5000));
//   Started started = co_await keeper->launch(std::move(order), deadline);
//   ProcessExit ended = co_await keeper->next_exit();       // for ever; one caller
//   co_await keeper->forget(ended.id, deadline);
//   co_await keeper->close();                               // the keeper and the containers go on
//
// Single-threaded: everything on the loop of `ring`. Errors of every request: unavailable when the
// keeper died meanwhile (reopen_log, close_stdin, forget, hold and drop may simply be repeated, a
// launch was undone), deadline_exceeded, and the keeper's own refusal with its step as `op`.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/unique_fd.h"
#include "core/keeper/channel.h"
#include "core/keeper/protocol.h"
#include "core/keeper/stdio.h"
#include "core/ring/ring.h"
#include "core/task/deadline.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"

namespace berth::keeper {

struct ClientOptions {
  std::string keeper_binary;  // path of berth-keeper
  std::string state_dir;      // holds keeper.sock, keeper.lock and keeper.table
};

struct LaunchOrder {
  std::string id;  // 1..128 bytes
  ProcessKind kind = ProcessKind::container;
  UniqueFd plan;              // sealed memfd, as core/container encodes it
  std::vector<int> plan_fds;  // borrowed until launch ends
  Stdio stdio;
};

struct Started {
  pid_t pid = 0;
  UniqueFd pidfd;
  std::int64_t started_at_ns = 0;
  std::uint64_t stage_ns[6] = {};  // CLOCK_MONOTONIC; container::Stage of core/container/report.h
};

struct ProcessExit {
  std::string id;
  ProcessKind kind = ProcessKind::container;
  std::optional<int> exit_code;  // 128 + signal; absent: unknown
  std::int64_t finished_at_ns = 0;
};

// A process the keeper knows. Descriptors are the client's: borrowed, valid until forget.
struct KnownProcess {
  std::string id;
  ProcessKind kind = ProcessKind::container;
  pid_t pid = 0;
  int pidfd = -1;     // -1 once exited
  int stdin_fd = -1;  // write end of stdin, or the terminal's master
  std::uint8_t flags = 0;
  bool has_log = false;  // false though it is to have one: lost with a keeper and an agent
  std::int64_t started_at_ns = 0;
  std::optional<ProcessExit> exit;
};

class KeeperClient {
 public:
  // Errors: unavailable with the keeper's own start-up line (io_uring disabled, another keeper,
  // ...).
  static Task<std::unique_ptr<KeeperClient>> connect_or_start(Ring& ring, Log& log,
                                                              ClientOptions options,
                                                              Deadline deadline);
  KeeperClient(const KeeperClient&) = delete;
  KeeperClient& operator=(const KeeperClient&) = delete;
  ~KeeperClient();
  // Ends the client; to be awaited before destruction. next_exit() then fails with cancelled.
  Task<void> close();

  // Ends when the program was executed, or with the failing step and errno; then nothing is left.
  // already_exists: a process of this id is in the table.
  Task<Started> launch(LaunchOrder order, Deadline deadline);
  // When it ends everything written before is complete in the old file. unavailable: another one of
  // this process is under way.
  Task<void> reopen_log(std::string id, UniqueFd log, Deadline deadline);
  // Drops the keeper's and the client's write end of stdin: the process reads EOF.
  Task<void> close_stdin(std::string id, Deadline deadline);
  // Forgets an ended process, after what is still readable of its output was logged.
  // failed_precondition: it runs. Unknown: fine.
  Task<void> forget(std::string id, Deadline deadline);

  // A small store of descriptors that outlives the agent (namespaces of pods). 1..8 of them under a
  // key; hold of a known key replaces.
  Task<void> hold(std::string key, std::vector<UniqueFd> fds, Deadline deadline);
  Task<void> drop(std::string key, Deadline deadline);
  // Duplicates of what is held under `key`; empty: unknown key.
  Result<std::vector<UniqueFd>> held(const std::string& key) const;
  std::vector<std::string> held_keys() const;

  // What the keeper knew when the client connected, kept up to date since.
  std::vector<KnownProcess> list() const;
  std::optional<KnownProcess> find(const std::string& id) const;
  // The next end of a process. Ends that happened while no agent was connected come first, again
  // after every connect until forget().
  Task<ProcessExit> next_exit();

  // Replaces the keeper's program by the one at `path`; everything goes on.
  Task<void> reexec(std::string path, Deadline deadline);
  // Ends the keeper; failed_precondition unless its table is empty. Then only close() is left to
  // do.
  Task<void> shutdown(Deadline deadline);

  pid_t keeper_pid() const noexcept { return keeper_pid_; }
  // How often a keeper was started by this client, the first included.
  unsigned starts() const noexcept { return starts_; }

 private:
  struct Answer {
    Header header;
    std::vector<std::byte> body;
    std::vector<UniqueFd> fds;
  };
  struct Pending {
    Event done;
    std::optional<Answer> answer;  // absent when done: the keeper died
    std::vector<Answer> parts;     // of list and held
    std::string launch_id;         // of launch
    bool sent = false;
  };
  class PendingGuard;
  // The client's duplicates of what the keeper holds for one process.
  struct Holding {
    ProcessRecord record;
    UniqueFd pidfd, log, log_next, out, err, in;
    bool reopening = false;  // log_next is being handed over
    bool abandoned = false;  // its caller went away before the answer: killed and forgotten
  };
  // Not an aggregate: GCC 12 copies a temporary aggregate in a co_await expression bit by bit.
  struct Request {
    explicit Request(MessageType t) : type(t) {}
    template <Body T>
    Request(MessageType t, const T& content) : type(t) {
      const auto bytes = std::as_bytes(std::span(&content, 1));
      body.assign(bytes.begin(), bytes.end());
    }

    MessageType type;
    std::vector<std::byte> body;
    std::vector<int> fds;     // borrowed
    std::size_t own_fds = 0;  // of a launch: how many of the first are not the plan's
    std::string launch_id;
  };

  KeeperClient(Ring& ring, Log& log, ClientOptions options);

  // client_start.cc: finding and starting a keeper, handing over.
  Task<void> supervise();
  Task<void> establish(Deadline deadline);
  Status connect();
  Status start();
  Task<void> greet(Deadline deadline);
  Task<void> adopt_all(Deadline deadline);
  Task<void> learn_all(Deadline deadline);
  void learn_process(Answer& part);
  Task<void> bury();
  Task<void> disconnect();

  // client.cc: requests and what comes back.
  Task<void> read_all();
  void dispatch(Incoming& message);
  void take_launch_answer(const std::string& id, const Header& header, Incoming& message);
  void close_log(UniqueFd log);
  void drop_process(const std::string& id);
  void abandon_launch(std::uint64_t request, const std::string& id);
  void fail_pending();
  void note_exit(const ExitRecord& record);
  Task<void> answer_reap(std::string id);
  Task<void> forget_abandoned(std::string id);
  // exchange: on this connection, or unavailable. request: when connected. insist: again when the
  // keeper died meanwhile.
  Task<Answer> exchange(Request request, Deadline deadline, std::vector<Answer>* parts);
  Task<void> send_whole(const Header& header, const Request& request, Deadline deadline);
  Task<void> send_one(const Header& header, std::span<const std::byte> body,
                      std::span<const int> fds, Deadline deadline);
  Task<Answer> request(Request request, Deadline deadline);
  Task<void> insist(MessageType type, std::string name, std::vector<int> fds, Deadline deadline);
  Task<void> wait_connected(Deadline deadline);

  Ring& ring_;
  Log& log_;
  ClientOptions options_;
  UniqueFd socket_;
  UniqueFd keeper_pidfd_;
  pid_t keeper_pid_ = 0;
  unsigned starts_ = 0;
  bool fresh_ = false;
  bool outdated_ = false;  // the keeper launches plans of another version
  bool closing_ = false;
  std::optional<Error> start_error_;
  std::uint64_t last_request_ = 0;
  Mutex sending_;  // of a launch: its messages follow each other
  std::map<std::uint64_t, Pending*> pending_;
  std::map<std::uint64_t, std::string> abandoned_;
  std::map<std::string, Holding> processes_;
  std::map<std::string, std::vector<UniqueFd>> held_;
  std::vector<UniqueFd> staging_;
  std::deque<ProcessExit> exits_;
  Event exits_ready_;
  Event connected_;
  Event reader_done_;
  std::unique_ptr<Scope> scope_;
};

}  // namespace berth::keeper
