// SPDX-License-Identifier: Apache-2.0
// The line that a container's process walks from clone to exec.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/signals.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace berth::container {
namespace {

constexpr int kKeyctlJoinSessionKeyring = 1;

void become_container(Child& child) noexcept {
  take_empty_directory(child);
  enter_root(child, child.fd(child.plan->header().rootfs_fd));
  mark(child, kStageRootfs);
  make_mounts(child);
  mark(child, kStageMounts);
  make_devices(child);
  make_terminal(child);
  write_sysctls(child);
  protect_paths(child);
}

}  // namespace

void mark(Child& child, Stage stage) noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  child.stage_ns[stage] = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                          static_cast<std::uint64_t>(now.tv_nsec);
}

void report(Child& child, ReportKind kind, pid_t pid, const char* detail) noexcept {
  Report message;
  message.kind = kind;
  message.step = child.step;
  message.sys_errno = kind == ReportKind::failed ? errno : 0;
  message.pid = pid;
  ::memcpy(message.stage_ns, child.stage_ns, sizeof message.stage_ns);
  const size_t length = ::strnlen(detail, sizeof message.detail - 1);
  ::memcpy(message.detail, detail, length);
  // write(2), because a custom seccomp profile may know no socket calls. If the keeper is gone
  // there is nobody to tell.
  const ssize_t ignored = ::write(child.channel, &message, sizeof message);
  static_cast<void>(ignored);
}

void fail(Child& child, const char* detail) noexcept {
  report(child, ReportKind::failed, 0, detail);
  ::_exit(127);
}

void prepare_process(Child& child) noexcept {
  child.step = Step::prepare;
  // Ignored signals stay ignored over clone and exec.
  if (!child.request->ignores_nothing) sys::default_all_signals();
  const std::uint64_t none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
  // Until the exec this process has the keeper's memory and program file: no process of the
  // container may read them through /proc, whatever it is allowed otherwise.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) fail(child, "not dumpable");
  if (::setsid() < 0) fail(child, "setsid");
  ::umask(0);
  // What the keeper holds is close-on-exec already; this is the second lock on that door.
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) != 0) fail(child, "close_range");
  // Otherwise the container would possess the keys of the keeper's session.
  if (::syscall(SYS_keyctl, kKeyctlJoinSessionKeyring, nullptr) < 0 && errno == EDQUOT) {
    fail(child, "session keyring");
  }
  if (child.plan->kind() == PlanKind::pod_init || child.plan->has(kPlanTerminal)) return;
  const int stdio[] = {child.request->stdin_fd, child.request->stdout_fd, child.request->stderr_fd};
  for (int target = 0; target < 3; ++target) {
    if (::dup2(stdio[target], target) < 0) fail(child, "stdio");
  }
}

void init_main(Child& child) noexcept {
  mark(child, kStageStarted);
  prepare_process(child);
  open_proc(child);
  set_oom_score_adj(child);
  place_in_cgroups(child);
  join_namespaces(child);
  mark(child, kStagePlaced);
  if (child.plan->kind() == PlanKind::container) {
    become_container(child);
  } else {
    make_terminal(child);
  }
  mark(child, kStageFurnished);
  enter_cwd(child);
  set_rlimits(child);
  set_identity(child);
  filter_and_exec(child);
}

}  // namespace berth::container
