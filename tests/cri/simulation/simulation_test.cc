// SPDX-License-Identifier: Apache-2.0
// The calls of the CRI over fake plugins in virtual time, by seeded random schedules. A failing
// schedule is run alone by
//   BERTH_SIMULATION_SEED=n tests/cri_simulation_test
// and other ones by BERTH_SIMULATION_FIRST=n BERTH_SIMULATION_COUNT=n.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/cri/simulation/place.h"
#include "tests/cri/simulation/schedule.h"

namespace berth::simulation {
namespace {

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST(Simulation, EveryScheduleKeepsTheRules) {
  constexpr std::uint64_t kSchedules = 5'000;  // of each half: CMakeLists.txt runs two
  const std::uint64_t seed = number_of("BERTH_SIMULATION_SEED", 0);
  const std::uint64_t first = seed != 0 ? seed : number_of("BERTH_SIMULATION_FIRST", 1);
  const std::uint64_t count = seed != 0 ? 1 : number_of("BERTH_SIMULATION_COUNT", kSchedules);
  constexpr int kFailuresMax = 10;
  int failures = 0;
  Place place(seed != 0);
  for (std::uint64_t i = first; i < first + count && failures < kFailuresMax; ++i) {
    const std::string violation = Schedule(place, i).run();
    if (violation.empty()) continue;
    ++failures;
    ADD_FAILURE() << "BERTH_SIMULATION_SEED=" << i << ": " << violation;
  }
}

}  // namespace
}  // namespace berth::simulation
