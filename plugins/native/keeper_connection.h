// SPDX-License-Identifier: Apache-2.0
// KeeperConnection: requests to one keeper at a time, their answers, and the keeper's events. It
// knows the protocol's messages and nothing of what they are about.
//
// Invariant: every exchange ends, with its answer, with unavailable when the connection ends, or as
// its deadline says. An event, and the answer of a launch, reaches KeeperEvents before any message
// that the keeper sent later is read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/keeper/channel.h"
#include "core/keeper/protocol.h"
#include "core/ring/ring.h"
#include "core/task/deadline.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"

namespace berth::native {

// Not an aggregate: GCC 12 copies a temporary aggregate in a co_await expression bit by bit.
struct KeeperRequest {
  explicit KeeperRequest(keeper::MessageType t) : type(t) {}
  template <keeper::Body T>
  KeeperRequest(keeper::MessageType t, const T& content) : type(t) {
    const auto bytes = std::as_bytes(std::span(&content, 1));
    body.assign(bytes.begin(), bytes.end());
  }

  keeper::MessageType type;
  std::vector<std::byte> body;
  std::vector<int> fds;     // borrowed until the exchange ends
  std::size_t own_fds = 0;  // of a launch: how many of the first are not the plan's
  std::string launch_id;    // of a launch
};

struct KeeperAnswer {
  keeper::Header header;
  std::vector<std::byte> body;
  std::vector<UniqueFd> fds;
  std::vector<KeeperAnswer> parts;  // of list and held: the entries
};

// What the keeper says besides answers. Called on the loop, by the reader.
class KeeperEvents {
 public:
  virtual void process_exited(const keeper::ExitRecord& record) = 0;
  // A process that an earlier keeper made is our child now and has ended.
  virtual void reap_please(std::string id) = 0;
  // Of a request of this connection, also when its caller has gone away.
  virtual void launch_answered(const std::string& id, const keeper::Header& header,
                               keeper::Incoming& message) = 0;
  // Of a request of an earlier agent, which ended before the launch did.
  virtual void foreign_launch_answered(const std::string& id, const keeper::Header& header,
                                       keeper::Incoming& message) = 0;
  // The exchange of a launch ended without an answer. `sent`: there may be a process.
  virtual void launch_abandoned(const std::string& id, bool sent) = 0;
  virtual void disconnected() = 0;

 protected:
  ~KeeperEvents() = default;
};

class KeeperConnection {
 public:
  // All outlive the connection; the reader runs in `scope`.
  KeeperConnection(Ring& ring, Scope& scope, KeeperEvents& events)
      : ring_(ring), scope_(scope), events_(events) {}
  KeeperConnection(const KeeperConnection&) = delete;
  KeeperConnection& operator=(const KeeperConnection&) = delete;

  // Starts the reader. There is no open connection.
  void open(UniqueFd socket);
  // Ends the connection and waits for the reader. None open: fine.
  Task<void> disconnect();
  // The same for an owner that closes the scope itself.
  void shut_down();
  void release();
  // Set while no connection is open.
  Event& ended() { return ended_; }

  // Errors: unavailable (the connection ended), deadline_exceeded, the keeper's refusal.
  Task<KeeperAnswer> exchange(KeeperRequest request, Deadline deadline);
  // What the keeper said before it gave up at its start.
  const std::optional<Error>& start_error() const { return start_error_; }

 private:
  struct Pending {
    Event done;
    std::optional<KeeperAnswer> answer;  // absent when done: the connection ended
    std::vector<KeeperAnswer> parts;
    std::string launch_id;
    bool sent = false;
  };
  class PendingGuard;

  Task<void> read_all();
  void dispatch(keeper::Incoming& message);
  bool dispatch_event(keeper::Incoming& message);
  void dispatch_late(keeper::Incoming& message);
  void fail_pending();
  Task<void> send_whole(const keeper::Header& header, const KeeperRequest& request,
                        Deadline deadline);
  Task<void> send_one(const keeper::Header& header, std::span<const std::byte> body,
                      std::span<const int> fds, Deadline deadline);

  Ring& ring_;
  Scope& scope_;
  KeeperEvents& events_;
  UniqueFd socket_;
  Event ended_;
  std::optional<Error> start_error_;
  std::uint64_t last_request_ = 0;
  Mutex sending_;  // of a launch: its messages follow each other
  std::map<std::uint64_t, Pending*> pending_;
  // Launches whose callers went away; their answers are still to come.
  std::map<std::uint64_t, std::string> abandoned_;
};

}  // namespace berth::native
