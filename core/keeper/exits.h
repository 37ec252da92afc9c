// SPDX-License-Identifier: Apache-2.0
// Exits: the end of processes, their exit codes, and forgetting them.
//
// Invariant: a zombie is reaped only when its code is in the table, and an exit is reported only
// when the output before it is in the log.
#pragma once

#include <cstdint>
#include <optional>

#include "core/keeper/launches.h"

namespace berth::keeper {

class Exits {
 public:
  Exits(const Shared& shared, Launches& launches)
      : table_(shared.environment.table),
        ring_(shared.ring),
        lives_(shared.lives),
        agent_(shared.agent),
        outbox_(shared.outbox),
        pump_(shared.pump),
        launches_(launches) {}

  // Records and reaps the children that have ended.
  void reap() noexcept;
  void ended(std::uint32_t entry, std::optional<int> exit_code) noexcept;
  // An adopted process has ended, or another try to learn its code is due.
  void on_pidfd(std::uint32_t entry) noexcept;
  // The answer comes when its output has been drained.
  void forget(std::uint64_t request, std::uint32_t entry) noexcept;
  // The pump is done with the output.
  void drained(std::uint32_t entry) noexcept;

 private:
  Table& table_;
  RawRing& ring_;
  Lives& lives_;
  AgentConnection& agent_;
  Outbox& outbox_;
  LogPump& pump_;
  Launches& launches_;
};

}  // namespace berth::keeper
