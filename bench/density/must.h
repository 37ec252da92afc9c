// SPDX-License-Identifier: Apache-2.0
// Error handling of a measuring program: it prints the failed step and ends.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace floor_bench {

// Returns `value`. If it is negative, prints `step` and errno and ends the program.
template <typename Integer>
Integer must(Integer value, const char* step) {
  if (value < 0) {
    std::fprintf(stderr, "berth-density-floor: %s: %s\n", step, std::strerror(errno));
    std::exit(1);
  }
  return value;
}

}  // namespace floor_bench
