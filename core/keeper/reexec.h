// SPDX-License-Identifier: Apache-2.0
// Reexec: replaces the keeper's program by another one, which goes on with every descriptor and the
// table. It happens between two turns of the loop, when no piece of output is on its way, no launch
// is under way and nothing is left to say. While one is asked for nothing is read from the agent
// and no new output is carried. If the keeper does not become quiet within a limit, because a write
// to a log hangs, it is refused with EBUSY and everything goes on.
#pragma once

#include <cstdint>
#include <utility>

#include "core/base/unique_fd.h"
#include "core/keeper/launches.h"
#include "core/keeper/token.h"

namespace berth::keeper {

class Reexec {
 public:
  Reexec(const Shared& shared, const Launches& launches)
      : environment_(shared.environment),
        ring_(shared.ring),
        table_(shared.environment.table),
        lives_(shared.lives),
        agent_(shared.agent),
        outbox_(shared.outbox),
        pump_(shared.pump),
        launches_(launches) {}

  void ask(UniqueFd binary, std::uint64_t request) noexcept;
  void cancel() noexcept;
  bool asked() const noexcept { return binary_.valid(); }
  // Does not return when it succeeds. Too early: it is tried again. Refused by the kernel: the
  // agent is told and the old program goes on.
  void try_now() noexcept;
  // The completion of the limit's timer.
  void on_limit(Token token) noexcept;

 private:
  bool is_quiet() noexcept;
  void arm_limit() noexcept;
  void keep_across_exec(bool keep) noexcept;

  Environment& environment_;
  RawRing& ring_;
  Table& table_;
  Lives& lives_;
  AgentConnection& agent_;
  Outbox& outbox_;
  LogPump& pump_;
  const Launches& launches_;
  UniqueFd binary_;
  std::uint64_t request_ = 0;
  std::uint32_t asked_ = 0;  // how often, so that a late timer is told apart
};

}  // namespace berth::keeper
