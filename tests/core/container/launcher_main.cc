// SPDX-License-Identifier: Apache-2.0
// main of every test that launches containers. The tests run as the first process of a PID
// namespace of their own, so that every process that a test leaves behind ends with it.
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "tests/core/container/launcher.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (::geteuid() != 0) {
    std::puts("skipped: needs root");
    return 77;
  }
  if (::unshare(CLONE_NEWPID) != 0) return std::perror("unshare"), 1;
  const pid_t child = ::fork();
  if (child < 0) return std::perror("fork"), 1;
  if (child > 0) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", 0, nullptr) != 0) {
    return std::perror("own /proc"), 1;
  }
  ::testing::AddGlobalTestEnvironment(new berth::container::testing::PlaceEnvironment);
  return RUN_ALL_TESTS();
}
