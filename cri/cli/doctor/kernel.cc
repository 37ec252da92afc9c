// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fmt/core.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "core/base/error.h"
#include "core/base/unique_fd.h"
#include "cri/cli/doctor/check.h"

namespace berth::cli {

namespace {

// From linux/pidfd.h of 6.15, which Debian 12's headers do not have yet. `exit_code` is a wait
// status.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t ids[11];
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr std::uint64_t kPidfdInfoExit = 1U << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

void check_version(HostChecks* checks) {
  utsname names{};
  ::uname(&names);
  int major = 0;
  int minor = 0;
  std::sscanf(names.release, "%d.%d", &major, &minor);
  const std::string what = std::string("Linux ") + names.release;
  if (major > 6 || (major == 6 && minor >= 1)) {
    checks->push_back({Health::ok, what, ""});
  } else {
    checks->push_back({Health::fail, what + " is older than 6.1", "Debian 12's kernel or newer"});
  }
}

bool known_filesystem(const std::string& name) {
  const std::string all = read_small_file("/proc/filesystems") + "\n";
  return all.find("\t" + name + "\n") != std::string::npos;
}

void check_filesystems(HostChecks* checks) {
  if (known_filesystem("overlay")) {
    checks->push_back({Health::ok, "overlay filesystem", ""});
  } else {
    checks->push_back({Health::fail, "no overlay filesystem", "modprobe overlay"});
  }
  if (known_filesystem("erofs")) {
    checks->push_back({Health::ok, "EROFS", ""});
  } else {
    checks->push_back({Health::warn, "no EROFS: layers are unpacked as directories",
                       "modprobe erofs (optional)"});
  }
}

// Only opens a filesystem context with fsopen(2) and closes it again.
void check_mount_api(HostChecks* checks) {
  UniqueFd context(static_cast<int>(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)));
  if (!context.valid()) {
    const int error = errno;
    const bool denied = error == EPERM;
    checks->push_back({denied ? Health::warn : Health::fail, "fsopen overlay: " + errno_name(error),
                       denied ? "run doctor as root to look"
                              : "a kernel from 6.1 on, and no seccomp filter in the way"});
    return;
  }
  checks->push_back({Health::ok, "mount API: overlay through fsopen", ""});
  // KERNEL 6.7: lowerdir+ adds one layer. Older kernels do not know the parameter: EINVAL.
  // Proof: tests/kernel/overlay_lowerdir_append_test.cc.
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "lowerdir+", "/", 0) == 0) {
    checks->push_back({Health::ok, "overlay lowerdir+: layers are added one by one", ""});
  } else {
    checks->push_back({Health::warn,
                       "no overlay lowerdir+ (" + errno_name(errno) +
                           "): layers go into one string of at most a page",
                       "Linux 6.7 or newer (optional)"});
  }
}

// KERNEL 6.15: PIDFD_GET_INFO gives the exit code of a process that was already reaped.
// Proof: tests/kernel/pidfd_exit_info_test.cc.
bool pidfd_has_exit_code() {
  constexpr int kCode = 7;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(kCode);
  if (child < 0) return false;
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  int wait_status = 0;
  while (::waitpid(child, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (!pidfd.valid()) return false;
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (::ioctl(pidfd.get(), kPidfdGetInfo, &info) != 0) return false;
  return (info.mask & kPidfdInfoExit) != 0 && WEXITSTATUS(info.exit_code) == kCode;
}

void check_exit_codes(HostChecks* checks) {
  if (pidfd_has_exit_code()) {
    checks->push_back({Health::ok, "PIDFD_GET_INFO: exit codes outlive the keeper", ""});
  } else {
    checks->push_back({Health::warn,
                       "no exit codes from PIDFD_GET_INFO: those that fall into a keeper's crash "
                       "are recorded as unknown",
                       "Linux 6.15 or newer (optional)"});
  }
}

void check_btf(HostChecks* checks) {
  if (::access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
    checks->push_back({Health::ok, "BTF of the running kernel", ""});
  } else {
    checks->push_back({Health::warn, "no /sys/kernel/btf/vmlinux: the eBPF network cannot load",
                       "a kernel with CONFIG_DEBUG_INFO_BTF"});
  }
}

}  // namespace

void check_kernel(HostChecks* checks) {
  check_version(checks);
  check_filesystems(checks);
  check_mount_api(checks);
  check_exit_codes(checks);
  check_btf(checks);
}

}  // namespace berth::cli
