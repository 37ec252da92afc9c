// SPDX-License-Identifier: Apache-2.0
#include "core/linux/pidfd.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace berth::sys {
namespace {

// struct pidfd_info of Linux 6.15, which is not in Debian 12's headers.
struct KernelPidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroupid;
  std::uint32_t pid, tgid, ppid;
  std::uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
static_assert(sizeof(KernelPidfdInfo) == 64);
constexpr std::uint64_t kInfoPid = 1U << 0;
constexpr std::uint64_t kInfoExit = 1U << 3;
#define BERTH_PIDFD_GET_INFO _IOWR(0xFF, 11, KernelPidfdInfo)

ExitStatus exit_status_from_siginfo(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return {info.si_status, 0, false};
  return {128 + info.si_status, info.si_status, info.si_code == CLD_DUMPED};
}

Result<std::optional<ExitStatus>> waitid_pidfd(int pidfd, int options) {
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | options) != 0) {
    if (errno != EINTR) return sys_error(errno, "waitid", "pidfd " + std::to_string(pidfd));
  }
  if (info.si_pid == 0) return std::optional<ExitStatus>();
  return std::optional<ExitStatus>(exit_status_from_siginfo(info));
}

}  // namespace

ExitStatus exit_status_from_wait(int wait_status) noexcept {
  if (WIFEXITED(wait_status)) return {WEXITSTATUS(wait_status), 0, false};
  const int signal_number = WTERMSIG(wait_status);
  return {128 + signal_number, signal_number, WCOREDUMP(wait_status) != 0};
}

Result<UniqueFd> pidfd_open(pid_t pid) {
  // sys/pidfd.h of glibc 2.36 declares the functions without C linkage, so they are not used.
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return sys_error(errno, "pidfd_open", std::to_string(pid));
  return UniqueFd(fd);
}

Status pidfd_send_signal(int pidfd, int signal_number) {
  const long sent = ::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0);
  if (sent == 0 || errno == ESRCH) return {};
  return sys_error(errno, "pidfd_send_signal", "signal " + std::to_string(signal_number));
}

Result<std::optional<ExitStatus>> waitid_nohang(int pidfd) {
  return waitid_pidfd(pidfd, WNOHANG);
}

Result<PidfdInfo> pidfd_get_info(int pidfd) {
  KernelPidfdInfo info{};
  info.mask = kInfoPid | kInfoExit;
  if (::ioctl(pidfd, BERTH_PIDFD_GET_INFO, &info) != 0) {
    // ENOTTY: a kernel before 6.13, where a pidfd has no ioctl. ESRCH: the process was reaped and
    // the kernel keeps no exit code.
    const int sys_errno = errno == ENOTTY ? ENOSYS : errno;
    return sys_error(sys_errno, "PIDFD_GET_INFO");
  }
  PidfdInfo result;
  result.pid = static_cast<pid_t>(info.tgid);
  if ((info.mask & kInfoExit) != 0) result.exit = exit_status_from_wait(info.exit_code);
  return result;
}

}  // namespace berth::sys
