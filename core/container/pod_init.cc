// SPDX-License-Identifier: Apache-2.0
// The first process of a shared PID namespace. It has the keeper's program and must not be a way to
// it: own mount namespace with an empty root, no descriptor, no capability, an id that no user has.
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/container/child.h"

namespace berth::container {
namespace {

constexpr unsigned kNobody = 65535;

void drop_everything(Child& child) noexcept {
  child.step = Step::identity;
  for (int number = 0; ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) == 0; ++number) {
  }
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) fail(child, "groups");
  if (::syscall(SYS_setresgid, kNobody, kNobody, kNobody) != 0) fail(child, "gid");
  // With the id goes every capability (capabilities(7)).
  if (::syscall(SYS_setresuid, kNobody, kNobody, kNobody) != 0) fail(child, "uid");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) fail(child, "no_new_privs");
}

// KERNEL 2.6.9: children of a process that ignores SIGCHLD are reaped by the kernel, and so are the
// orphans that a PID namespace's first process inherits: no wake-up for any of them. wait(2),
// NOTES. SIGTERM is blocked, so that it queues: with its default action it is not delivered to a
// first process at all. Before the report that the process is up, because the first SIGTERM may
// come right then. Proof: tests/kernel/pid_namespace_reap_test.cc.
sigset_t take_signals() noexcept {
  ::signal(SIGCHLD, SIG_IGN);
  sigset_t ending;
  ::sigemptyset(&ending);
  ::sigaddset(&ending, SIGTERM);
  ::sigaddset(&ending, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ending, nullptr);
  return ending;
}

[[noreturn]] void sleep_until(const sigset_t& ending) noexcept {
  for (;;) {
    const int got = ::sigwaitinfo(&ending, nullptr);
    if (got > 0) ::_exit(0);
  }
}

}  // namespace

void pod_init_main(Child& child) noexcept {
  mark(child, kStageStarted);
  drop_shared_memory(child);
  prepare_process(child);
  if (::setsid() < 0) fail(child, "setsid");
  open_proc(child);
  close_others(child, Keep::plan);
  set_oom_score_adj(child);
  place_in_cgroups(child);
  join_namespaces(child);
  mark(child, kStagePlaced);
  take_covers(child);
  enter_root(child, child.empty_dir.fd);
  mark(child, kStageRootfs);
  child.step = Step::prepare;
  ::prctl(PR_SET_NAME, "berth-pod-init", 0, 0, 0);
  drop_everything(child);
  const sigset_t ending = take_signals();
  mark(child, kStageReady);
  report(child, ReportKind::ready, 0, "");
  ::syscall(SYS_close_range, 0U, ~0U, 0U);
  sleep_until(ending);
}

}  // namespace berth::container
