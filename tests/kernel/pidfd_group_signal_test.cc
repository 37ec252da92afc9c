// SPDX-License-Identifier: Apache-2.0
// FACT: pidfd_send_signal with PIDFD_SIGNAL_PROCESS_GROUP (Linux 6.9) signals every process of the
// group that the process leads. An older kernel answers EINVAL.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

namespace berth {
namespace {

constexpr unsigned kProcessGroup = 1U << 2;

TEST(PidfdGroupSignal, ReachesTheChildrenOfTheLeader) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  const pid_t leader = ::fork();
  if (leader == 0) {
    ::setsid();
    const pid_t child = ::fork();
    if (child > 0 && ::write(ends[1], &child, sizeof child) != sizeof child) ::_exit(1);
    for (;;) ::pause();
  }
  pid_t child = 0;
  ASSERT_EQ(::read(ends[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, leader, 0)));
  const long sent = ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, kProcessGroup);
  const int error = errno;
  if (sent != 0) {
    ::kill(-leader, SIGKILL);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(leader, &status, 0), leader);
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  ::close(ends[0]);
  ::close(ends[1]);
  if (sent != 0) {
    EXPECT_EQ(error, EINVAL);
    GTEST_SKIP() << "needs Linux 6.9";
  }
}

}  // namespace
}  // namespace berth
