// SPDX-License-Identifier: Apache-2.0
// The random numbers of one schedule and the faults that they make.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "core/ring/ring.h"
#include "tests/support/fakes/faults.h"

namespace berth::simulation {

class Chance {
 public:
  explicit Chance(std::uint64_t seed) : random_(seed) {}
  // 0 .. below - 1
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  bool percent(unsigned percent) { return pick(100) < percent; }
  // Mostly short, rarely long, up to `most_ns`.
  std::int64_t duration_ns(std::int64_t most_ns);
  template <typename T>
  const T& one_of(const std::vector<T>& all) {
    return all[pick(all.size())];
  }

 private:
  std::mt19937_64 random_;
};

// In percent of calls.
struct FaultRates {
  unsigned error = 0;        // before the effect
  unsigned lost_answer = 0;  // after it
  unsigned wait = 0;         // before and after
  unsigned lost_exit_code = 0;
  unsigned store = 0;  // commits that fail
};

// One agent's. After freeze() no call has an effect any more: that agent is dead, and the way its
// tasks end changes nothing outside.
class SeededFaults final : public fakes::Faults {
 public:
  SeededFaults(Ring& ring, Chance& chance, const FaultRates& rates)
      : ring_(ring), chance_(chance), rates_(rates) {}

  Task<void> before(const char* call) override;
  Task<void> after(const char* call) override;
  std::int64_t ending_ns() override;
  bool loses_exit_code() override { return chance_.percent(rates_.lost_exit_code); }
  bool fails_commit() { return frozen_ || chance_.percent(rates_.store); }

  void freeze() { frozen_ = true; }
  bool frozen() const { return frozen_; }
  // A network that could not be detached is left to the next recover().
  bool has_failed_detach() const { return failed_detach_; }

 private:
  Task<void> wait(const char* call);

  Ring& ring_;
  Chance& chance_;
  const FaultRates& rates_;
  bool frozen_ = false;
  bool failed_detach_ = false;
};

}  // namespace berth::simulation
