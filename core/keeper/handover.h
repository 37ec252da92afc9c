// SPDX-License-Identifier: Apache-2.0
// Handover: a new keeper takes over from one that died. The agent gives back its duplicates of
// descriptors; the table has the rest. Processes are found again by their pid and start time.
//
// Invariant: an entry is given back at most once (Life::kept), also when the agent loses its
// connection in the middle and begins again.
#pragma once

#include <cstdint>

#include "core/keeper/exits.h"
#include "core/keeper/holds.h"

namespace berth::keeper {

class Handover {
 public:
  Handover(const Shared& shared, Exits& exits, Holds& holds)
      : environment_(shared.environment),
        table_(shared.environment.table),
        ring_(shared.ring),
        lives_(shared.lives),
        agent_(shared.agent),
        pump_(shared.pump),
        exits_(exits),
        holds_(holds) {}

  // Removes the descriptor numbers from the table: they are those of the dead keeper.
  void begin() noexcept;
  void adopt_process(Incoming& message, const ProcessRecord& record) noexcept;
  void adopt_held(Incoming& message, const NameBody& body) noexcept;
  // Ends the handover. False: the agent does not read and is disconnected.
  bool adopt_done(Incoming& message) noexcept;
  // Begins to carry the output of every process; also after a re-execution.
  void start_all() noexcept;

 private:
  void resolve_unadopted(std::uint32_t entry) noexcept;
  bool find_again(std::uint32_t entry) noexcept;

  Environment& environment_;
  Table& table_;
  RawRing& ring_;
  Lives& lives_;
  AgentConnection& agent_;
  LogPump& pump_;
  Exits& exits_;
  Holds& holds_;
};

// Writes the descriptors of the log pump's pipes, of which the agent has duplicates, and returns
// their number. `fds` has room for two for each slot.
size_t staging_fds(Table& table, int* fds) noexcept;

}  // namespace berth::keeper
