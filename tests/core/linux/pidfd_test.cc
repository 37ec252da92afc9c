// SPDX-License-Identifier: Apache-2.0
#include "core/linux/pidfd.h"
#include "tests/support/waitid_blocking.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::sys {
namespace {

UniqueFd child_that(void (*body)()) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  return pidfd_open(pid).value();
}

TEST(Pidfd, ExitCodesAndSignalsAreReported) {
  const UniqueFd exits = child_that([] { ::_exit(7); });
  EXPECT_EQ(waitid_blocking(exits.get()).value().exit_code, 7);
  const UniqueFd waits = child_that([] { ::pause(); });
  EXPECT_FALSE(waitid_nohang(waits.get()).value().has_value());
  ASSERT_TRUE(pidfd_send_signal(waits.get(), SIGKILL).ok());
  const ExitStatus killed = waitid_blocking(waits.get()).value();
  EXPECT_EQ(killed.exit_code, 137);
  EXPECT_EQ(killed.signal_number, SIGKILL);
}

TEST(Pidfd, SignalToAnEndedProcessIsNoErrorAndASecondReapIs) {
  const UniqueFd pidfd = child_that([] {});
  ASSERT_TRUE(waitid_blocking(pidfd.get()).ok());
  EXPECT_TRUE(pidfd_send_signal(pidfd.get(), SIGKILL).ok());
  EXPECT_EQ(waitid_nohang(pidfd.get()).error().sys_errno, ECHILD);
}

TEST(Pidfd, WaitStatusWordIsDecodedLikeTheShellDoes) {
  EXPECT_EQ(exit_status_from_wait(3 << 8).exit_code, 3);
  EXPECT_EQ(exit_status_from_wait(SIGTERM).exit_code, 143);
  EXPECT_TRUE(exit_status_from_wait(SIGSEGV | 0x80).core_dumped);
}

TEST(Pidfd, UnknownPidIsNotFound) {
  EXPECT_EQ(pidfd_open(0x3fffffff).error().code, Errc::not_found);
}

}  // namespace
}  // namespace berth::sys
