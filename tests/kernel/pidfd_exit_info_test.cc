// SPDX-License-Identifier: Apache-2.0
// FACT: since Linux 6.15 PIDFD_GET_INFO gives the exit status of a process that was reaped already,
// to any holder of a pidfd that was open at the reap, parent or not. An agent that takes over from
// a dead keeper gets exit codes in this way.
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/linux/pidfd.h"
#include "core/linux/seccomp/seccomp.h"
#include "tests/support/seccomp_programs.h"
#include "tests/support/waitid_blocking.h"

namespace berth::sys {
namespace {

UniqueFd child_that_exits_with(int code) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(code);
  return pidfd_open(pid).value();
}

bool kernel_has_it() {
  const UniqueFd pidfd = child_that_exits_with(0);
  static_cast<void>(waitid_blocking(pidfd.get()));
  const Result<PidfdInfo> info = pidfd_get_info(pidfd.get());
  return info.ok() && info->exit.has_value();
}

TEST(PidfdExitInfo, ExitCodeIsThereAfterTheReap) {
  if (!kernel_has_it()) GTEST_SKIP() << "needs Linux 6.15";
  const UniqueFd pidfd = child_that_exits_with(42);
  EXPECT_EQ(waitid_blocking(pidfd.get()).value().exit_code, 42);
  EXPECT_EQ(pidfd_get_info(pidfd.get()).value().exit->exit_code, 42);
  EXPECT_EQ(pidfd_get_info(pidfd.get()).value().exit->exit_code, 42)
      << "the second request differs";
}

TEST(PidfdExitInfo, SignalIsThereAfterTheReap) {
  if (!kernel_has_it()) GTEST_SKIP() << "needs Linux 6.15";
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  const UniqueFd pidfd = pidfd_open(pid).value();
  ASSERT_TRUE(pidfd_send_signal(pidfd.get(), SIGTERM).ok());
  ASSERT_TRUE(waitid_blocking(pidfd.get()).ok());
  const ExitStatus exit = *pidfd_get_info(pidfd.get()).value().exit;
  EXPECT_EQ(exit.signal_number, SIGTERM);
  EXPECT_EQ(exit.exit_code, 143);
}

TEST(PidfdExitInfo, NoExitIsGivenBeforeTheReap) {
  const UniqueFd pidfd = child_that_exits_with(9);
  const Result<PidfdInfo> info = pidfd_get_info(pidfd.get());
  EXPECT_FALSE(info.ok() && info->exit.has_value());
  EXPECT_EQ(waitid_blocking(pidfd.get()).value().exit_code, 9);
}

// As on Linux 6.1, where a pidfd has no ioctl.
TEST(PidfdExitInfo, OlderKernelsAnswerUnimplemented) {
  const pid_t child = ::fork();
  if (child == 0) {
    SeccompInstructions program =
        profile_program(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 25}]})",
                        0)
            .value();
    sock_fprog filter{static_cast<unsigned short>(program.size()),
                      reinterpret_cast<sock_filter*>(program.data())};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    const UniqueFd self = pidfd_open(::getpid()).value();
    const Result<PidfdInfo> info = pidfd_get_info(self.get());
    ::_exit(!info.ok() && info.error().is(Errc::unimplemented) ? 0 : 1);
  }
  const UniqueFd pidfd = pidfd_open(child).value();
  EXPECT_EQ(waitid_blocking(pidfd.get()).value().exit_code, 0);
}

}  // namespace
}  // namespace berth::sys
