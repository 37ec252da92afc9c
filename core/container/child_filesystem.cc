// SPDX-License-Identifier: Apache-2.0
// New file systems of a container as detached mounts.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/clone3.h"
#include "core/linux/mount.h"

namespace berth::container {
namespace {

// `pidns_fd`: the PID namespace that a procfs shows; -1: the caller's.
int mount_with(const PlanView& plan, const PlanMount& mount, int pidns_fd) noexcept {
  const int context = ::fsopen(plan.text(mount.type), FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int fd = -1;
  bool good = true;
  if (pidns_fd >= 0) {
    good = ::fsconfig(context, FSCONFIG_SET_FD, "pidns", nullptr, pidns_fd) == 0;
  }
  if (good && mount.source.count != 0) {
    good = ::fsconfig(context, FSCONFIG_SET_STRING, "source", plan.text(mount.source), 0) == 0;
  }
  for (const PlanOption& option : plan.options(mount)) {
    if (!good) break;
    const bool has_value = option.has_value != 0;
    good = ::fsconfig(context, has_value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
                      plan.text(option.key), has_value ? plan.text(option.value) : nullptr, 0) == 0;
  }
  good = good && ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  const std::uint64_t flags = mount.flags | mount.recursive_flags;
  if (good) fd = ::fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(flags));
  const int saved = errno;
  ::close(context);
  errno = saved;
  return fd;
}

}  // namespace

int mount_new(const PlanView& plan, const PlanMount& mount) noexcept {
  return mount_with(plan, mount, -1);
}

// KERNEL 6.18: procfs takes the PID namespace as the option `pidns`. An older one answers EINVAL,
// and a child of the stage, which is in the namespace, makes the mount and leaves it in the
// descriptor table that it shares with the stage. Proof: tests/core/container/exec_test.cc.
int mount_joined_proc(Child& child, const PlanMount& mount) noexcept {
  const int fd = mount_with(*child.plan, mount, child.fd(child.plan->ns(kPlanPid).fd));
  if (fd >= 0) return fd;
  const int place = ::fcntl(child.channel, F_DUPFD_CLOEXEC, 3);
  if (place < 0) return -1;
  const pid_t pid = sys::clone3({.flags = CLONE_FILES, .exit_signal = SIGCHLD});
  if (pid == 0) {
    const int made = mount_new(*child.plan, mount);
    if (made < 0 || ::dup3(made, place, O_CLOEXEC) < 0) ::_exit(errno & 0xff);
    ::close(made);
    ::_exit(0);
  }
  siginfo_t info{};
  if (pid < 0 || ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0) return -1;
  if (info.si_code == CLD_EXITED && info.si_status == 0) return place;
  errno = info.si_code == CLD_EXITED ? info.si_status : ECHILD;
  return -1;
}

}  // namespace berth::container
