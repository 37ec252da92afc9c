// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/native.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "core/container/launch.h"
#include "core/keeper/stdio.h"
#include "core/linux/pidfd.h"

namespace berth::plugins {
namespace {

// Far beyond any launch that still makes progress; the caller's own deadline cancels earlier.
constexpr std::int64_t kLaunchMs = 120'000;
constexpr std::int64_t kRequestMs = 30'000;
// What systemd gives a service: select(2) works, and a program that needs more may raise it.
constexpr rlim_t kOpenFilesSoft = 1024;
constexpr rlim_t kOpenFilesHard = 524'288;

// The keeper's own limit and score are not for containers, so every plan says its own.
void complete(oci::Process& process) {
  const auto is_open_files = [](const oci::Rlimit& limit) { return limit.type == RLIMIT_NOFILE; };
  if (std::none_of(process.rlimits.begin(), process.rlimits.end(), is_open_files)) {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const rlim_t hard = std::min(kOpenFilesHard, own.rlim_max);
    process.rlimits.push_back(
        {.type = RLIMIT_NOFILE, .soft = std::min(kOpenFilesSoft, hard), .hard = hard});
  }
  if (!process.oom_score_adj) process.oom_score_adj = 0;
}

Result<keeper::Stdio> stdio_of(Stdio& stdio, const oci::Process& process) {
  if (stdio.out.valid() && stdio.err.valid()) {
    return keeper::pass_stdio(std::move(stdio.in), std::move(stdio.out), std::move(stdio.err));
  }
  return keeper::make_stdio({.log = std::move(stdio.log_file),
                             .terminal = process.terminal,
                             .open_stdin = stdio.open_stdin,
                             .stdin_once = stdio.stdin_once,
                             .uid = process.user.uid,
                             .gid = process.user.gid});
}

container::LaunchFds fds_of(const Placement& placement) {
  container::LaunchFds fds;
  fds.cgroup = placement.cgroup.get();
  for (const UniqueFd& tasks : placement.v1_tasks) fds.v1_tasks.push_back(tasks.get());
  return fds;
}

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys_error(errno, "fcntl", "F_DUPFD_CLOEXEC");
  return copy;
}

Exit exit_of(keeper::ProcessExit exit) {
  return {
      .id = std::move(exit.id), .exit_code = exit.exit_code, .finished_at_ns = exit.finished_at_ns};
}

Result<Living> living_of(const keeper::KnownProcess& known) {
  TRY(UniqueFd pidfd, duplicate(known.pidfd));
  return Living{.container_id = known.id,
                .pid = known.pid,
                .pidfd = std::move(pidfd),
                .started_at_ns = known.started_at_ns};
}

}  // namespace

Task<Recovered> NativeRuntime::recover() {
  Recovered recovered;
  std::vector<keeper::KnownProcess> known = keeper_.list();
  for (keeper::KnownProcess& process : known) {
    if (process.kind != keeper::ProcessKind::container) continue;
    if (process.exit) {
      recovered.exited.push_back(exit_of(std::move(*process.exit)));
    } else {
      Living living = co_await living_of(process);
      recovered.living.push_back(std::move(living));
    }
  }
  co_return recovered;
}

Task<Launched> NativeRuntime::order(keeper::LaunchOrder order) {
  keeper::Started started =
      co_await keeper_.launch(std::move(order), Deadline::after_ms(kLaunchMs));
  Launched launched;
  launched.pid = started.pid;
  launched.pidfd = std::move(started.pidfd);
  launched.started_at_ns = started.started_at_ns;
  co_return launched;
}

Task<Launched> NativeRuntime::launch(LaunchRequest request) {
  complete(request.spec.process);
  container::LaunchFds fds = fds_of(request.placement);
  fds.rootfs = request.rootfs.get();
  container::EncodedPlan plan = co_await container::encode_container(request.spec, fds);
  keeper::LaunchOrder message;
  message.id = request.container_id;
  message.kind = keeper::ProcessKind::container;
  message.plan = std::move(plan.memfd);
  message.plan_fds = std::move(plan.fds);
  message.stdio = co_await stdio_of(request.stdio, request.spec.process);
  Launched launched = co_await order(std::move(message));
  co_return launched;
}

Task<Launched> NativeRuntime::exec(ExecRequest request) {
  std::optional<keeper::KnownProcess> target = keeper_.find(request.container_id);
  if (!target) co_await fail(Errc::not_found, "no container " + request.container_id);
  if (target->exit) {
    co_await fail(Errc::failed_precondition, "container " + request.container_id + " has ended");
  }
  UniqueFd target_fd = co_await duplicate(target->pidfd);
  complete(request.process);
  container::LaunchFds fds = fds_of(request.placement);
  fds.target = target_fd.get();
  container::EncodedPlan plan =
      co_await container::encode_exec(request.process, request.seccomp, fds);
  keeper::LaunchOrder message;
  message.id = request.exec_id;
  message.kind = keeper::ProcessKind::exec;
  message.plan = std::move(plan.memfd);
  message.plan_fds = std::move(plan.fds);
  message.stdio = co_await stdio_of(request.stdio, request.process);
  Launched launched = co_await order(std::move(message));
  co_return launched;
}

Task<Launched> NativeRuntime::launch_pod_init(PodInitRequest request) {
  container::LaunchFds fds = fds_of(request.placement);
  container::EncodedPlan plan =
      co_await container::encode_pod_init(request.namespaces, request.oom_score_adj, fds);
  keeper::LaunchOrder message;
  message.id = request.pod_id;
  message.kind = keeper::ProcessKind::pod_init;
  message.plan = std::move(plan.memfd);
  message.plan_fds = std::move(plan.fds);
  Launched launched = co_await order(std::move(message));
  co_return launched;
}

std::vector<Living> NativeRuntime::pod_inits() const {
  std::vector<Living> living;
  for (const keeper::KnownProcess& process : keeper_.list()) {
    if (process.kind != keeper::ProcessKind::pod_init || process.exit) continue;
    Result<Living> one = living_of(process);
    if (one.ok()) living.push_back(std::move(*one));
  }
  return living;
}

int NativeRuntime::stdin_of(const std::string& container_id) const {
  std::optional<keeper::KnownProcess> process = keeper_.find(container_id);
  return process ? process->stdin_fd : -1;
}

Task<void> NativeRuntime::signal(std::string container_id, int signal_number) {
  std::optional<keeper::KnownProcess> process = keeper_.find(container_id);
  if (!process || process->exit) co_return;
  co_await sys::pidfd_send_signal(process->pidfd, signal_number);
}

Task<void> NativeRuntime::reopen_log(std::string container_id, UniqueFd log_file) {
  co_await keeper_.reopen_log(std::move(container_id), std::move(log_file),
                              Deadline::after_ms(kRequestMs));
}

Task<Exit> NativeRuntime::next_exit() {
  keeper::ProcessExit exit = co_await keeper_.next_exit();
  // Nobody removes an exec; once told, it is nothing to keep. A keeper that is away tells it again
  // when it is back, and is then asked again: its death must not end who waits for exits.
  if (exit.kind == keeper::ProcessKind::exec) {
    Result<void> forgotten =
        co_await keeper_.forget(exit.id, Deadline::after_ms(kRequestMs)).result();
    if (!forgotten.ok() && forgotten.error().is(Errc::cancelled)) co_await std::move(forgotten);
  }
  co_return exit_of(std::move(exit));
}

Task<void> NativeRuntime::remove(std::string container_id) {
  co_await keeper_.forget(std::move(container_id), Deadline::after_ms(kRequestMs));
}

}  // namespace berth::plugins
