// SPDX-License-Identifier: Apache-2.0
// What a measuring program does with errors: name the step, and stop.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace floor_bench {

// Returns `value`, or ends the program with a line naming `step` and errno when it is negative.
template <typename Integer>
Integer must(Integer value, const char* step) {
  if (value < 0) {
    std::fprintf(stderr, "berth-density-floor: %s: %s\n", step, std::strerror(errno));
    std::exit(1);
  }
  return value;
}

}  // namespace floor_bench
