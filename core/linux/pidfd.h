// SPDX-License-Identifier: Apache-2.0
// Processes by descriptor: a pidfd never refers to another process that got the same number.
// pidfd_open(2), pidfd_send_signal(2), waitid(2) with P_PIDFD (5.4), PIDFD_GET_INFO (6.13; exit
// code 6.15).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

// How a process ended, in the shell's way of counting: 0..255, or 128 + signal.
struct ExitStatus {
  int exit_code = 0;
  int signal_number = 0;  // 0: it called exit
  bool core_dumped = false;
};
// From the status word of wait(2), which is also what PIDFD_GET_INFO gives.
ExitStatus exit_status_from_wait(int wait_status) noexcept;

Result<UniqueFd> pidfd_open(pid_t pid);
// A process that is gone already is no error (ESRCH).
Status pidfd_send_signal(int pidfd, int signal_number);
// For the parent only; without a value the process still runs. Reaps it. ECHILD: not ours, or
// reaped.
Result<std::optional<ExitStatus>> waitid_nohang(int pidfd);
// The same, waiting. Never on the ring's thread.
Result<ExitStatus> waitid_blocking(int pidfd);

struct PidfdInfo {
  pid_t pid = 0;  // in the caller's PID namespace; 0 after the reap
  std::optional<ExitStatus> exit;
};
// `exit` is there when the process was reaped and the kernel has 6.15. unimplemented: no such
// ioctl. KERNEL 6.15: the exit code stays readable through a pidfd that was open at the time of the
// reap. Proof: tests/kernel/pidfd_exit_info_test.cc.
Result<PidfdInfo> pidfd_get_info(int pidfd);

}  // namespace berth::sys
