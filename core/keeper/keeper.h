// SPDX-License-Identifier: Apache-2.0
// Keeper: the loop of berth-keeper and what each request of the agent asks of the parts. Parent of
// every container process. One thread, no heap, never waits for anything but the ring.
//
// Life of a process: launch -> launching -> running -> exited -> (forget) -> gone (launches.h,
// exits.h). Life of a connection: one agent at a time, a new one replaces the old; nothing that
// happened is lost with a connection, because everything the agent must know is in the table
// and is reported again by list (outbox.h). Life of a program: handover.h, reexec.h.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/exits.h"
#include "core/keeper/handover.h"
#include "core/keeper/holds.h"
#include "core/keeper/launches.h"
#include "core/keeper/reexec.h"
#include "core/keeper/shared.h"
#include "core/keeper/token.h"

namespace berth::keeper {

class Keeper final : private LogPump::Owner {
 public:
  // `environment` and `ring` outlive the keeper.
  Keeper(Environment& environment, RawRing& ring)
      : environment_(environment),
        ring_(ring),
        agent_(ring),
        outbox_(environment.table, lives_, agent_),
        pump_(environment.table, ring, *this),
        parts_(Shared{environment, ring, lives_, agent_, outbox_, pump_}) {}
  Status open();
  // Until shutdown. An error is the end of the program.
  Status run();

 private:
  // In the order in which they know each other.
  struct Parts {
    explicit Parts(const Shared& shared)
        : launches(shared),
          exits(shared, launches),
          holds(shared.environment.table, shared.agent),
          handover(shared, exits, holds),
          reexec(shared, launches) {}

    Launches launches;
    Exits exits;
    Holds holds;
    Handover handover;
    Reexec reexec;
  };

  void dispatch(Token token, int result) noexcept;
  void dispatch_entry(Token token, int result) noexcept;
  void accept_agent() noexcept;
  void connect(UniqueFd socket) noexcept;
  void disconnect() noexcept;
  void read_requests() noexcept;
  void flush() noexcept;

  void handle(Incoming& message) noexcept;
  bool handle_handover(Incoming& message) noexcept;
  void greet(const Header& header) noexcept;
  void tell_build(const Header& header) noexcept;
  void handle_named(Incoming& message, const NameBody& body) noexcept;
  void reopen_log(Incoming& message, std::uint32_t entry) noexcept;
  void record_exit(const Header& header, const ExitRecord& record) noexcept;
  void shut_down(const Header& header) noexcept;

  void drained(std::uint32_t entry) override;
  void log_reopened(std::uint32_t entry) override;

  Environment& environment_;
  RawRing& ring_;
  Lives lives_;
  AgentConnection agent_;
  Outbox outbox_;
  LogPump pump_;
  Parts parts_;
  bool done_ = false;
};

}  // namespace berth::keeper
