// SPDX-License-Identifier: Apache-2.0
// Refers to processes by descriptor: a pidfd never refers to another process with the same pid.
// pidfd_open(2), pidfd_send_signal(2), waitid(2) with P_PIDFD (5.4), PIDFD_GET_INFO (6.13; exit
// code 6.15).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

// How a process ended. `exit_code` follows the shell's convention: 0..255, or 128 + signal.
struct ExitStatus {
  int exit_code = 0;
  int signal_number = 0;  // 0: not ended by a signal
  bool core_dumped = false;
};
// Converts the status of wait(2), which PIDFD_GET_INFO also returns.
ExitStatus exit_status_from_wait(int wait_status) noexcept;

Result<UniqueFd> pidfd_open(pid_t pid);
// A process that has ended already (ESRCH) is not an error.
Status pidfd_send_signal(int pidfd, int signal_number);
// Reaps a child of the caller. nullopt: it still runs. ECHILD: not a child, or already reaped.
Result<std::optional<ExitStatus>> waitid_nohang(int pidfd);

struct PidfdInfo {
  pid_t pid = 0;  // in the caller's PID namespace; 0 after the reap
  std::optional<ExitStatus> exit;
};
// `exit` is set if the process was reaped and the kernel is at least 6.15. unimplemented: the
// kernel has no such ioctl. KERNEL 6.15: the exit code stays readable through a pidfd that was open
// when the process was reaped. Proof: tests/kernel/pidfd_exit_info_test.cc.
Result<PidfdInfo> pidfd_get_info(int pidfd);

}  // namespace berth::sys
