// SPDX-License-Identifier: Apache-2.0
#include "core/container/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
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
  const bool takes_stdio = plan.kind() != PlanKind::pod_init && !plan.has(kPlanTerminal);
  for (const int fd : stdio) {
    if (fd != -1 && (fd <= 2 || !takes_stdio)) return false;
  }
  const bool masks = plan.header().masked_paths.count != 0 || plan.kind() == PlanKind::pod_init;
  return !masks || (request.empty_dir != nullptr && request.empty_file != nullptr);
}

// Flags of the clone that makes the process, or its stage.
std::uint64_t clone_flags(const PlanView& plan) noexcept {
  constexpr struct {
    PlanNamespaceIndex index;
    std::uint64_t flag;
  } kFresh[] = {{kPlanPid, CLONE_NEWPID},
                {kPlanMount, CLONE_NEWNS},
                {kPlanIpc, CLONE_NEWIPC},
                {kPlanUts, CLONE_NEWUTS},
                {kPlanNetwork, CLONE_NEWNET}};
  std::uint64_t flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  for (const auto& fresh : kFresh) {
    if (plan.ns(fresh.index).mode == PlanNamespaceMode::fresh) flags |= fresh.flag;
  }
  return flags;
}

void ask_for_pid(const SpawnRequest& request, sys::Clone3& clone) noexcept {
  if (request.parent_tid == nullptr) return;
  clone.flags |= CLONE_PARENT_SETTID;
  clone.parent_tid = request.parent_tid;
}

}  // namespace

bool needs_stage(const PlanView& plan) noexcept {
  return plan.kind() == PlanKind::exec || plan.ns(kPlanPid).mode == PlanNamespaceMode::join;
}

void drop_shared_memory(Child& child) noexcept {
  const std::span<std::byte> shared = child.request->shared;
  if (!shared.empty() && ::munmap(shared.data(), shared.size()) != 0) fail(child, "munmap");
}

// With CLONE_PARENT the keeper is the parent, and the number is one of its own PID namespace: the
// stage itself has not moved, only its children do. The kernel writes that number through the
// stage's mapping of the shared memory, which the process does not inherit.
void leave_stage(Child& child) noexcept {
  child.step = Step::clone;
  const std::span<std::byte> shared = child.request->shared;
  if (!shared.empty() && ::madvise(shared.data(), shared.size(), MADV_DONTFORK) != 0) {
    fail(child, "madvise");
  }
  sys::Clone3 clone{.flags = CLONE_PARENT};
  ask_for_pid(*child.request, clone);
  const pid_t pid = sys::clone3(clone);
  if (pid < 0) fail(child, "clone3");
  if (pid == 0) return;
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
  result->helper = needs_stage(*request.plan);
  sys::Clone3 clone{
      .flags = clone_flags(*request.plan), .pidfd = &result->pidfd, .exit_signal = SIGCHLD};
  const int cgroup_fd = child.fd(request.plan->header().cgroup_fd);
  if (cgroup_fd >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup_fd = cgroup_fd;
  }
  ask_for_pid(request, clone);
  const pid_t pid = sys::clone3(clone);
  if (pid == 0) {
    if (child.plan->kind() == PlanKind::pod_init) pod_init_main(child);
    init_main(child);
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
