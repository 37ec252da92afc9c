// SPDX-License-Identifier: Apache-2.0
// Time and chance of the program, under the test's control: virtual_clock.cc defines clock_gettime
// and getrandom in place of the C library's. A schedule then takes no time while it waits, and the
// same seed makes the same ids.
#pragma once

#include <cstdint>

namespace berth::simulation {

// From now on both clocks stand still but for advance().
void start_virtual_time();
// Back to the kernel's clocks and random numbers.
void stop_virtual_time();
void advance_virtual_time(std::int64_t duration_ns);
// Of getrandom.
void seed_virtual_chance(std::uint64_t seed);

}  // namespace berth::simulation
