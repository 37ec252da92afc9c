// SPDX-License-Identifier: Apache-2.0
// Launches: from the request to the answer, running or failed.
//
// Invariant: `launching_` counts the entries in state launching, `helpers_` those among them whose
// process a helper makes and has not named yet. While there are helpers, a zombie without an entry
// may be a process of theirs.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "core/container/launch_plan.h"
#include "core/keeper/shared.h"

namespace berth::keeper {

class Launches {
 public:
  explicit Launches(const Shared& shared)
      : environment_(shared.environment),
        table_(shared.environment.table),
        ring_(shared.ring),
        lives_(shared.lives),
        agent_(shared.agent),
        outbox_(shared.outbox),
        pump_(shared.pump) {}

  // Descriptors of a plan that come ahead of its launch, in messages of their own.
  void take_descriptors(Incoming& message) noexcept;
  void drop_descriptors() noexcept;
  void launch(Incoming& message) noexcept;
  // The child or its helper said something, or both have ended.
  void on_report(std::uint32_t entry) noexcept;
  // Undoes it and tells the agent.
  void failed(std::uint32_t entry, int sys_errno, const char* step, std::string_view text) noexcept;

  bool any() const noexcept { return launching_ != 0; }
  bool has_helpers() const noexcept { return helpers_ != 0; }
  // A zombie was left until its launch is at its end.
  void note_zombie() noexcept { zombie_waits_ = true; }
  // True, once: zombies that were left are to be looked at again.
  bool take_reap_wanted() noexcept { return std::exchange(reap_wanted_, false); }

 private:
  struct EarlyFds {
    std::uint64_t request = 0;
    std::uint32_t count = 0;
    std::int32_t fds[container::kPlanFdsMax] = {};
  };

  void start_launch(Incoming& message) noexcept;
  int begin_launch(Incoming& message, std::uint32_t entry, std::uint32_t fds) noexcept;
  void launched(std::uint32_t entry) noexcept;

  Environment& environment_;
  Table& table_;
  RawRing& ring_;
  Lives& lives_;
  AgentConnection& agent_;
  Outbox& outbox_;
  LogPump& pump_;
  EarlyFds early_fds_;
  std::uint32_t launching_ = 0;
  std::uint32_t helpers_ = 0;
  bool zombie_waits_ = false;
  bool reap_wanted_ = false;
};

}  // namespace berth::keeper
