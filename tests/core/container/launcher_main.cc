// SPDX-License-Identifier: Apache-2.0
// main of every test that launches.
#include <unistd.h>

#include <cstdio>

#include "tests/core/container/launcher.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (::geteuid() != 0) {
    std::puts("skipped: needs root");
    return 77;
  }
  ::testing::AddGlobalTestEnvironment(new berth::container::testing::PlaceEnvironment);
  return RUN_ALL_TESTS();
}
