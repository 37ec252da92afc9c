// SPDX-License-Identifier: Apache-2.0
#include "core/container/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/container/child.h"
#include "core/linux/clone3.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace berth::container {
namespace {

bool fits(const SpawnRequest& request) noexcept {
  const PlanView& plan = *request.plan;
  if (request.fds.size() != plan.header().fd_count) return false;
  for (const int fd : request.fds) {
    if (fd <= 2) return false;
  }
  const int stdio[] = {request.stdin_fd, request.stdout_fd, request.stderr_fd};
  const bool wants_stdio = plan.kind() != PlanKind::pod_init && !plan.has(kPlanTerminal);
  for (const int fd : stdio) {
    if (wants_stdio != (fd > 2)) return false;
  }
  return true;
}

bool needs_helper(const PlanView& plan) noexcept {
  return plan.kind() == PlanKind::exec || plan.ns(kPlanPid).mode == PlanNamespaceMode::join;
}

// The clone that makes the process itself, from the keeper or from the helper.
pid_t clone_process(Child& child, sys::Clone3 clone) noexcept {
  const int cgroup_fd = child.fd(child.plan->header().cgroup_fd);
  clone.flags |= process_clone_flags(*child.plan) | CLONE_CLEAR_SIGHAND;
  if (cgroup_fd >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup_fd = cgroup_fd;
  }
  if (child.request->parent_tid != nullptr) {
    clone.flags |= CLONE_PARENT_SETTID;
    clone.parent_tid = child.request->parent_tid;
  }
  return sys::clone3(clone);
}

[[noreturn]] void process_main(Child& child) noexcept {
  if (child.plan->kind() == PlanKind::pod_init) pod_init_main(child);
  init_main(child);
}

}  // namespace

std::uint64_t process_clone_flags(const PlanView& plan) noexcept {
  constexpr struct {
    PlanNamespaceIndex index;
    std::uint64_t flag;
  } kFresh[] = {{kPlanPid, CLONE_NEWPID},
                {kPlanMount, CLONE_NEWNS},
                {kPlanIpc, CLONE_NEWIPC},
                {kPlanUts, CLONE_NEWUTS},
                {kPlanNetwork, CLONE_NEWNET}};
  std::uint64_t flags = 0;
  for (const auto& fresh : kFresh) {
    if (plan.ns(fresh.index).mode == PlanNamespaceMode::fresh) flags |= fresh.flag;
  }
  return flags;
}

void helper_main(Child& child) noexcept {
  child.step = Step::namespaces;
  const PlanView& plan = *child.plan;
  const bool is_exec = plan.kind() == PlanKind::exec;
  const int fd = child.fd(is_exec ? plan.header().target_fd : plan.ns(kPlanPid).fd);
  if (::setns(fd, CLONE_NEWPID) != 0) fail(child, "pid namespace");
  child.step = Step::clone;
  // With CLONE_PARENT the keeper is the parent, and the number is one of its own PID namespace: the
  // helper itself has not moved, only its children do.
  const pid_t pid = clone_process(child, {.flags = CLONE_PARENT});
  if (pid < 0) fail(child, "clone3");
  if (pid == 0) process_main(child);
  report(child, ReportKind::created, pid, "");
  ::_exit(0);
}

int spawn(const SpawnRequest& request, SpawnResult* result) noexcept {
  if (!fits(request)) return EINVAL;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return errno;
  }
  Child child;
  child.request = &request;
  child.plan = request.plan;
  child.channel = ends[1];
  result->helper = needs_helper(*request.plan);
  sys::Clone3 clone{.flags = CLONE_PIDFD, .pidfd = &result->pidfd, .exit_signal = SIGCHLD};
  pid_t pid = -1;
  if (result->helper) {
    clone.flags |= CLONE_CLEAR_SIGHAND;
    pid = sys::clone3(clone);
    if (pid == 0) helper_main(child);
  } else {
    pid = clone_process(child, clone);
    if (pid == 0) process_main(child);
  }
  const int saved = errno;
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return saved;
  }
  result->pid = pid;
  result->channel = ends[0];
  return 0;
}

}  // namespace berth::container
