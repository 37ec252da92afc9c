// SPDX-License-Identifier: Apache-2.0
// The line of steps that a container's process takes from clone to exec.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/signals.h"

namespace berth::container {
namespace {

constexpr int kKeyctlJoinSessionKeyring = 1;

void furnish_container(Child& child) noexcept {
  take_covers(child);
  close_others(child, Keep::tree);
  enter_root(child, child.fd(child.plan->header().rootfs_fd));
  mark(child, kStageRootfs);
  make_mounts(child);
  mark(child, kStageMounts);
  make_devices(child);
  make_stdio(child);
  protect_paths(child);
}

void furnish_exec(Child& child) noexcept {
  close_others(child, Keep::tree);
  make_stdio(child);
}

// In place; the arrays are small and nearly sorted.
void sort(int* values, size_t count) noexcept {
  for (size_t i = 1; i < count; ++i) {
    const int value = values[i];
    size_t at = i;
    for (; at > 0 && values[at - 1] > value; --at) values[at] = values[at - 1];
    values[at] = value;
  }
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
  // the report is lost.
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
  ::umask(0);
  // Otherwise the container would possess the keys of the keeper's session.
  if (::syscall(SYS_keyctl, kKeyctlJoinSessionKeyring, nullptr) < 0 && errno == EDQUOT) {
    fail(child, "session keyring");
  }
  const int stdio[] = {child.request->stdin_fd, child.request->stdout_fd, child.request->stderr_fd};
  for (int target = 0; target < 3; ++target) {
    if (stdio[target] >= 0 && ::dup2(stdio[target], target) < 0) fail(child, "stdio");
  }
}

// KERNEL: close-on-exec acts only after execve(2) has resolved its path, so a descriptor that is
// still open then can be named as /proc/self/fd/N. Proof: tests/core/container/descriptors_test.cc.
void close_others(Child& child, Keep keep) noexcept {
  constexpr size_t kOthers = 8;
  int kept[kPlanFdsMax + kOthers];
  size_t count = 0;
  const auto add = [&kept, &count](int fd) {
    if (fd > 2) kept[count++] = fd;
  };
  add(child.channel);
  if (keep == Keep::plan) {
    for (const int fd : child.request->fds) add(fd);
    add(child.proc_fd);
  } else if (keep == Keep::tree) {
    for (const PlanMount& mount : child.plan->mounts()) add(child.fd(mount.fd));
    add(child.fd(child.plan->header().rootfs_fd));
    // A procfs of the joined PID namespace is mounted with it.
    if (child.plan->kind() == PlanKind::container) add(child.fd(child.plan->ns(kPlanPid).fd));
    add(child.root_fd);
    add(child.empty_dir.fd);
    add(child.empty_file.fd);
  }
  sort(kept, count);
  unsigned next = 3;
  for (size_t i = 0; i < count; ++i) {
    const auto fd = static_cast<unsigned>(kept[i]);
    if (fd > next) ::syscall(SYS_close_range, next, fd - 1, 0U);
    next = fd < next ? next : fd + 1;
  }
  if (::syscall(SYS_close_range, next, ~0U, 0U) != 0) fail(child, "close_range");
}

void lead_session(Child& child) noexcept {
  child.step = Step::terminal;
  if (::setsid() < 0) fail(child, "setsid");
  if (!child.plan->has(kPlanTerminal)) return;
  if (::ioctl(0, TIOCSCTTY, 0) != 0) fail(child, "controlling terminal");
}

void init_main(Child& child) noexcept {
  mark(child, kStageStarted);
  const bool is_stage = needs_stage(*child.plan);
  if (!is_stage) drop_shared_memory(child);
  prepare_process(child);
  open_proc(child);
  close_others(child, Keep::plan);
  set_oom_score_adj(child);
  place_in_cgroups(child);
  join_namespaces(child);
  write_sysctls(child);
  mark(child, kStagePlaced);
  if (child.plan->kind() == PlanKind::container) {
    furnish_container(child);
  } else {
    furnish_exec(child);
  }
  mark(child, kStageFurnished);
  enter_cwd(child);
  set_rlimits(child);
  close_others(child, Keep::nothing);
  set_identity(child);
  if (is_stage) leave_stage(child);
  lead_session(child);
  filter_and_exec(child);
}

}  // namespace berth::container
