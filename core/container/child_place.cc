// SPDX-License-Identifier: Apache-2.0
// Cgroups, namespaces, OOM score and limits of the process.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <charconv>

#include "core/container/child.h"

namespace berth::container {
namespace {

constexpr decltype(statfs::f_type) kProcMagic = 0x9fa0;
constexpr std::uint64_t kOpenFilesMin = 64;  // of a process that searches for its program

std::uint64_t at_least(std::uint64_t value, std::uint64_t minimum) noexcept {
  return value < minimum ? minimum : value;
}

// Into `text`, at least 12 bytes; returns the length.
size_t write_number(int value, char* text) noexcept {
  char digits[12];
  size_t count = 0;
  unsigned rest = value < 0 ? 0U - static_cast<unsigned>(value) : static_cast<unsigned>(value);
  do {
    digits[count++] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  size_t length = 0;
  if (value < 0) text[length++] = '-';
  while (count > 0) text[length++] = digits[--count];
  return length;
}

int current_oom_score_adj(int proc_fd) noexcept {
  char text[16] = {};
  const int fd = ::openat(proc_fd, "self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t length = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  int value = 0;
  std::from_chars(text, text + (length > 0 ? length : 0), value);
  return value;
}

// Raising a hard limit needs CAP_SYS_RESOURCE: without it the limit is set as high as allowed.
void set_rlimit(Child& child, const PlanRlimit& limit) noexcept {
  const auto resource = static_cast<__rlimit_resource_t>(limit.type);
  rlimit wanted{limit.soft, limit.hard};
  if (::setrlimit(resource, &wanted) == 0) return;
  if (errno != EPERM) fail(child, "setrlimit");
  rlimit now{};
  if (::getrlimit(resource, &now) != 0) fail(child, "getrlimit");
  if (wanted.rlim_max > now.rlim_max) wanted.rlim_max = now.rlim_max;
  if (wanted.rlim_cur > wanted.rlim_max) wanted.rlim_cur = wanted.rlim_max;
  if (::setrlimit(resource, &wanted) != 0) fail(child, "setrlimit");
}

}  // namespace

void open_proc(Child& child) noexcept {
  const PlanHeader& header = child.plan->header();
  if (!child.plan->has(kPlanHasOomScoreAdj) && header.sysctls.count == 0) return;
  child.proc_fd = child.request->proc_fd;
  if (child.proc_fd >= 0) return;
  child.proc_fd = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct statfs info {};
  if (child.proc_fd >= 0 && ::fstatfs(child.proc_fd, &info) == 0 && info.f_type == kProcMagic) {
    return;
  }
  const int context = ::fsopen("proc", FSOPEN_CLOEXEC);
  if (context < 0 || ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    fail(child, "private /proc");
  }
  child.proc_fd = ::fsmount(context, FSMOUNT_CLOEXEC, 0);
  if (child.proc_fd < 0) fail(child, "private /proc");
}

// KERNEL 6.1: setting the score below its value when CAP_SYS_RESOURCE was last used is EACCES
// without that capability. proc(5), oom_score_adj. The process then keeps the inherited score.
// Proof: tests/core/container/identity_test.cc.
void set_oom_score_adj(Child& child) noexcept {
  if (!child.plan->has(kPlanHasOomScoreAdj)) return;
  const int wanted = child.plan->header().oom_score_adj;
  if (current_oom_score_adj(child.proc_fd) == wanted) return;
  const int fd = ::openat(child.proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  char text[16];
  const size_t length = write_number(wanted, text);
  const bool wrote = fd >= 0 && ::write(fd, text, length) >= 0;
  if (!wrote && errno != EACCES && errno != EPERM) fail(child, "oom_score_adj");
  ::close(fd);
}

// KERNEL 5.18: writing "0" to the v1 file `tasks` moves only the writing thread. The kernel then
// does not take the lock that stops every fork and exit of the machine (an RCU grace period), as it
// does to move another process or a whole one by cgroup.procs. Proof:
// tests/kernel/cgroup_tasks_self_test.cc.
void place_in_cgroups(Child& child) noexcept {
  child.step = Step::cgroup;
  for (const std::int32_t index : child.plan->tasks()) {
    if (::write(child.fd(index), "0", 1) != 1) fail(child, "tasks");
  }
  const PlanNamespace& cgroup = child.plan->ns(kPlanCgroup);
  // After the move, because the root of a new cgroup namespace is the cgroup of its creator.
  if (cgroup.mode == PlanNamespaceMode::fresh && ::unshare(CLONE_NEWCGROUP) != 0) {
    fail(child, "cgroup namespace");
  }
}

void join_namespaces(Child& child) noexcept {
  child.step = Step::namespaces;
  const PlanView& plan = *child.plan;
  if (plan.kind() == PlanKind::exec) {
    constexpr int kAll =
        CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
    if (::setns(child.fd(plan.header().target_fd), kAll) != 0) fail(child, "of the container");
    child.root_fd = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (child.root_fd < 0) fail(child, "/");
    return;
  }
  constexpr struct {
    PlanNamespaceIndex index;
    int flag;
    const char* name;
  } kJoins[] = {{kPlanPid, CLONE_NEWPID, "pid namespace"},  // of the stage's children only
                {kPlanIpc, CLONE_NEWIPC, "ipc namespace"},
                {kPlanUts, CLONE_NEWUTS, "uts namespace"},
                {kPlanNetwork, CLONE_NEWNET, "network namespace"},
                {kPlanCgroup, CLONE_NEWCGROUP, "cgroup namespace"}};
  for (const auto& join : kJoins) {
    const PlanNamespace& ns = plan.ns(join.index);
    if (ns.mode != PlanNamespaceMode::join) continue;
    if (::setns(child.fd(ns.fd), join.flag) != 0) fail(child, join.name);
  }
}

// Runs before the container's paths are used, because it needs the caller's procfs.
void write_sysctls(Child& child) noexcept {
  child.step = Step::sysctl;
  const auto sysctls = child.plan->sysctls();
  if (sysctls.empty()) return;
  const int directory = ::openat(child.proc_fd, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) fail(child, "/proc/sys");
  for (const PlanSysctl& sysctl : sysctls) {
    const char* path = child.plan->text(sysctl.path);
    const int fd = ::openat(directory, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) fail(child, path);
    const ssize_t wrote = ::write(fd, child.plan->text(sysctl.value), sysctl.value.count);
    if (wrote < 0) fail(child, path);
    ::close(fd);
  }
  ::close(directory);
}

// Runs with every privilege, so it raises all limits that the plan raises.
void set_rlimits(Child& child) noexcept {
  child.step = Step::rlimits;
  const bool is_stage = needs_stage(*child.plan);
  for (PlanRlimit limit : child.plan->rlimits()) {
    // The limit counts all processes of the user, of which the stage would be one too many.
    if (is_stage && limit.type == RLIMIT_NPROC) continue;
    if (limit.type == RLIMIT_NOFILE) {
      limit.soft = at_least(limit.soft, kOpenFilesMin);
      limit.hard = at_least(limit.hard, kOpenFilesMin);
    }
    set_rlimit(child, limit);
  }
}

// Sets the limits that would obstruct earlier steps. Lowering a limit needs no privilege.
void set_late_rlimits(Child& child) noexcept {
  child.step = Step::rlimits;
  const bool was_stage = needs_stage(*child.plan);
  for (const PlanRlimit& limit : child.plan->rlimits()) {
    const bool is_late = (was_stage && limit.type == RLIMIT_NPROC) ||
                         (limit.type == RLIMIT_NOFILE && limit.soft < kOpenFilesMin);
    if (is_late) set_rlimit(child, limit);
  }
}

}  // namespace berth::container
