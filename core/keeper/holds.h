// SPDX-License-Identifier: Apache-2.0
// Holds: descriptors under keys, which are entries of the table without a process.
#pragma once

#include <cstdint>

#include "core/keeper/agent_connection.h"
#include "core/keeper/table.h"

namespace berth::keeper {

class Holds {
 public:
  Holds(Table& table, AgentConnection& agent) : table_(table), agent_(agent) {}

  // A known key is replaced. Answers the request.
  void hold(Incoming& message, const NameBody& body) noexcept;
  // An unknown key is no error.
  void drop(const NameBody& body) noexcept;

 private:
  void drop_entry(std::uint32_t entry) noexcept;

  Table& table_;
  AgentConnection& agent_;
};

}  // namespace berth::keeper
