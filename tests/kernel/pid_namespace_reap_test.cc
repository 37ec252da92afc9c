// SPDX-License-Identifier: Apache-2.0
// FACT: the first process of a PID namespace is not waitable while another process of that
// namespace is a zombie, even one whose parent is outside; the zombie must be reaped first. Orphans
// of a first process that ignores SIGCHLD need no reaping at all. (pid_namespaces(7) documents
// neither.)
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/linux/clone3.h"
#include "core/linux/pidfd.h"
#include "tests/support/waitid_blocking.h"

namespace berth::sys {
namespace {

// A child that sleeps, in a fresh PID namespace.
pid_t first_process(UniqueFd* pidfd) {
  int fd = -1;
  const pid_t pid =
      clone3({.flags = CLONE_NEWPID | CLONE_PIDFD, .pidfd = &fd, .exit_signal = SIGCHLD});
  if (pid == 0) {
    for (;;) ::pause();
  }
  pidfd->reset(fd);
  return pid;
}

TEST(PidNamespaceReap, FirstProcessIsWaitableOnlyAfterTheOthersAreReaped) {
  UniqueFd first;
  ASSERT_GT(first_process(&first), 0);
  const pid_t helper = ::fork();
  if (helper == 0) {
    if (::setns(first.get(), CLONE_NEWPID) != 0) ::_exit(1);
    // A child of the test, inside the namespace.
    const pid_t pid = clone3({.flags = CLONE_PARENT});
    if (pid == 0) {
      for (;;) ::pause();
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(helper, &status, 0), helper);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(pidfd_send_signal(first.get(), SIGKILL).ok());
  ::usleep(30'000);
  EXPECT_FALSE(waitid_nohang(first.get()).value().has_value());
  // The other one, killed with its namespace.
  const pid_t other = ::waitpid(-1, &status, 0);
  EXPECT_GT(other, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(waitid_blocking(first.get()).value().exit_code, 137);
}

}  // namespace
}  // namespace berth::sys
