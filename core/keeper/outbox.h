// SPDX-License-Identifier: Apache-2.0
// Outbox: what is still to be said to the agent about entries of the table, and the list that is
// being answered. An entry says its things in the order of a process's life, entries in the order
// in which they came to have something to say.
//
// Invariant: an entry is in the queue exactly while its Life::queued is set. An entry that is gone
// but for a last message (forgotten, launch failed) is freed with that message.
#pragma once

#include <cstdint>

#include "core/keeper/agent_connection.h"
#include "core/keeper/lives.h"
#include "core/keeper/table.h"

namespace berth::keeper {

class Outbox {
 public:
  Outbox(Table& table, Lives& lives, AgentConnection& agent)
      : table_(table), lives_(lives), agent_(agent) {}

  void say(std::uint32_t entry, Say what) noexcept;
  // Answers a list (or held) request: one message for each entry, then an empty one.
  void list(std::uint64_t request, bool held) noexcept { listing_ = {request, 0, held, true}; }
  bool listing() const noexcept { return listing_.active; }
  bool empty() const noexcept { return first_ == kNoEntry && !listing_.active; }
  // False: the agent does not read.
  bool flush() noexcept;
  // The agent is gone. The next one reads from the table, by list, all that it must know.
  void clear() noexcept;

 private:
  struct Listing {
    std::uint64_t request = 0;
    std::uint32_t next = 0;
    bool held = false;
    bool active = false;
  };

  bool flush_listing() noexcept;
  bool tell_listed(MessageType type, const Entry& entry) noexcept;
  bool speak(std::uint32_t entry) noexcept;
  bool tell_launched(Life& life, Entry& entry) noexcept;
  bool tell_last(std::uint32_t entry, Life& life) noexcept;

  Table& table_;
  Lives& lives_;
  AgentConnection& agent_;
  Listing listing_;
  std::uint32_t first_ = kNoEntry;
  std::uint32_t last_ = kNoEntry;
};

}  // namespace berth::keeper
