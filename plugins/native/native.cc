// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/native.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "core/container/launch.h"
#include "core/linux/namespace.h"
#include "core/linux/pidfd.h"
#include "plugins/native/container_plan.h"
#include "plugins/native/limits.h"
#include "plugins/native/streams.h"

namespace berth::plugins {

using native::KeeperLaunch;
using native::KnownProcess;
using native::ProcessKind;

namespace {

Result<UniqueFd> duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return sys_error(errno, "fcntl", "F_DUPFD_CLOEXEC");
  return copy;
}

std::span<const std::uint64_t> instructions_of(const native::SeccompProgram& program) {
  return program == nullptr ? std::span<const std::uint64_t>() : *program;
}

constexpr std::string_view kOfSandbox = "berth:sandbox";
constexpr std::string_view kOfContainer = "berth:container/";

}  // namespace

NativeRuntime::NativeRuntime(NativeParts parts) : parts_(std::move(parts)) {}

NativeRuntime::~NativeRuntime() = default;

Task<Recovered> NativeRuntime::recover(std::vector<KnownSandbox> known) {
  native::KeeperOptions options{.binary = parts_.keeper_binary, .state_dir = parts_.state_dir};
  keeper_ = co_await native::KeeperClient::connect_or_start(
      parts_.ring, parts_.log, std::move(options), Deadline::after_ms(native::kKeeperStartMs));
  sandboxes_ = std::make_unique<native::Sandboxes>(parts_.ring, parts_.log, *keeper_);
  Recovered recovered;
  std::set<std::string> containers;
  for (const KnownSandbox& sandbox : known) {
    containers.insert(sandbox.container_ids.begin(), sandbox.container_ids.end());
    Result<SandboxStatus> found = co_await sandboxes_->find_again(sandbox).result();
    if (found.ok()) {
      recovered.sandboxes.push_back(std::move(*found));
    } else if (found.error().is(Errc::cancelled)) {
      co_await std::move(found);
    } else {
      parts_.log.error("native", found.error().message());
    }
  }
  add_containers(containers, recovered);
  co_await end_unknown(containers, recovered);
  std::vector<std::string> ended = co_await sandboxes_->end_unknown();
  for (std::string& line : ended) recovered.ended.push_back(std::move(line));
  co_return recovered;
}

void NativeRuntime::add_containers(const std::set<std::string>& known, Recovered& recovered) const {
  for (KnownProcess& process : keeper_->list()) {
    if (process.kind != ProcessKind::container || !known.contains(process.id)) continue;
    if (process.exit) {
      recovered.exited.push_back(*std::move(process.exit));
      continue;
    }
    Living living;
    living.container_id = process.id;
    living.pid = process.pid;
    living.started_at_ns = process.started_at_ns;
    living.log_lost = process.log_lost;
    recovered.living.push_back(std::move(living));
  }
}

// An exec's caller went away with the agent that it had called.
Task<void> NativeRuntime::end_unknown(const std::set<std::string>& containers,
                                      Recovered& recovered) {
  const std::vector<KnownProcess> processes = keeper_->list();
  for (const KnownProcess& process : processes) {
    if (process.kind == ProcessKind::pod_init || containers.contains(process.id)) continue;
    // next_exit() forgets it when it has ended, or at once.
    unknown_.insert(process.id);
    if (process.exit) continue;
    const bool is_exec = process.kind == ProcessKind::exec;
    recovered.ended.push_back(is_exec ? "exec " + process.id + " belonged to no call"
                                      : "process " + process.id + " belonged to no container");
    co_await sys::pidfd_send_signal(process.pidfd, SIGKILL);
  }
}

Task<SandboxStatus> NativeRuntime::start_sandbox(SandboxRequest request) {
  return sandboxes_->start(std::move(request));
}

Task<void> NativeRuntime::stop_sandbox(std::string sandbox_id) {
  return sandboxes_->stop(std::move(sandbox_id));
}

Task<SandboxStatus> NativeRuntime::sandbox_status(std::string sandbox_id) {
  SandboxStatus status = co_await sandboxes_->status(sandbox_id);
  co_return status;
}

Task<void> NativeRuntime::keep(std::string sandbox_id, std::vector<UniqueFd> kept) {
  return sandboxes_->keep(std::move(sandbox_id), std::move(kept));
}

Task<void> NativeRuntime::check(const oci::Spec& spec) {
  co_await native::check_spec(spec);
  native::SeccompProgram program = co_await programs_.program_of(spec.linux.seccomp);
}

// A path that is not one of the names is opened as it is.
Result<int> NativeRuntime::open_namespace(const std::string& sandbox_id, oci::NamespaceType type,
                                          const std::string& path,
                                          std::vector<UniqueFd>& opened) const {
  UniqueFd fd;
  if (path == kOfSandbox) {
    TRY(fd, sandboxes_->open_namespace(sandbox_id, type));
  } else if (path.starts_with(kOfContainer)) {
    const std::string id = path.substr(kOfContainer.size());
    const std::optional<KnownProcess> target = keeper_->find(id);
    if (!target || target->exit) {
      return make_error(Errc::failed_precondition,
                        "the target container `" + id + "` does not run");
    }
    TRY(fd, sys::open_namespace_of(target->pid, target->pidfd, native::namespace_file(type)));
  } else {
    fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return sys_error(errno, "open", path);
  }
  opened.push_back(std::move(fd));
  return opened.back().get();
}

// The plan borrows the descriptors of `request` and `namespaces`.
Task<container::EncodedPlan> NativeRuntime::plan_container(StartRequest& request,
                                                           std::vector<UniqueFd>& namespaces) {
  co_await sandboxes_->check_complete(request.sandbox_id);
  native::FindNamespace find = [this, &request, &namespaces](oci::NamespaceType type,
                                                             const std::string& path) {
    return open_namespace(request.sandbox_id, type, path, namespaces);
  };
  const native::SeccompProgram program = co_await programs_.program_of(request.spec.linux.seccomp);
  container::LaunchContainer made =
      co_await native::container_of(std::move(request.spec), request.mounts, find);
  made.seccomp = instructions_of(program);
  container::LaunchFds fds = native::fds_of(request.placement);
  fds.rootfs = request.rootfs.get();
  container::EncodedPlan plan = co_await container::encode_container(made, fds);
  co_return plan;
}

Task<Started> NativeRuntime::start(StartRequest request) {
  if (keeper_->find(request.container_id)) {
    co_await fail(Errc::failed_precondition,
                  "container " + request.container_id + " was started before");
  }
  KeeperLaunch launch;
  launch.id = request.container_id;
  launch.streams = co_await native::make_streams(std::move(request.stdio), request.spec.process);
  std::vector<UniqueFd> namespaces;
  launch.plan = co_await plan_container(request, namespaces);
  Started started =
      co_await keeper_->launch(std::move(launch), Deadline::after_ms(native::kLaunchMs));
  co_return started;
}

Task<Started> NativeRuntime::exec(ExecRequest request) {
  std::optional<KnownProcess> target = keeper_->find(request.container_id);
  if (!target || target->kind != ProcessKind::container) {
    co_await fail(Errc::not_found, "no container " + request.container_id);
  }
  if (target->exit) {
    co_await fail(Errc::failed_precondition, "container " + request.container_id + " has ended");
  }
  const UniqueFd target_fd = co_await duplicate(target->pidfd);
  native::complete_process(request.process);
  native::SeccompProgram program = co_await programs_.program_of(request.seccomp);
  container::LaunchFds fds = native::fds_of(request.placement);
  fds.target = target_fd.get();
  KeeperLaunch launch;
  launch.id = request.exec_id;
  launch.kind = ProcessKind::exec;
  launch.plan = co_await container::encode_exec(request.process, instructions_of(program), fds);
  launch.streams = co_await native::make_streams(std::move(request.stdio), request.process);
  Started started =
      co_await keeper_->launch(std::move(launch), Deadline::after_ms(native::kLaunchMs));
  co_return started;
}

Task<void> NativeRuntime::signal(std::string container_id, int signal_number) {
  const std::optional<KnownProcess> process = keeper_->find(container_id);
  if (!process || process->exit) co_return;
  co_await sys::pidfd_send_signal(process->pidfd, signal_number);
}

// KERNEL 6.9: PIDFD_SIGNAL_PROCESS_GROUP signals the group of the process, which leads its own
// (setsid). An older kernel ends only the process itself. Proof:
// tests/kernel/pidfd_group_signal_test.cc.
Task<void> NativeRuntime::kill_exec(std::string exec_id) {
  constexpr unsigned kProcessGroup = 1U << 2;
  const std::optional<KnownProcess> process = keeper_->find(exec_id);
  if (!process || process->exit) co_return;
  if (::syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, nullptr, kProcessGroup) == 0) {
    co_return;
  }
  co_await sys::pidfd_send_signal(process->pidfd, SIGKILL);
}

// Nothing removes an exec, so it is forgotten here. A keeper that is away tells its exit again when
// it is back: its death does not end this wait.
Task<Exit> NativeRuntime::next_exit() {
  for (;;) {
    Exit exit = co_await keeper_->next_exit();
    const bool unknown = unknown_.erase(exit.id) != 0;
    if (unknown || exit.of == Exit::Of::exec) {
      const Deadline deadline = Deadline::after_ms(native::kRequestMs);
      Result<void> forgotten = co_await keeper_->forget(exit.id, deadline).result();
      if (!forgotten.ok() && forgotten.error().is(Errc::cancelled)) co_await std::move(forgotten);
    }
    if (unknown) continue;
    if (exit.of == Exit::Of::sandbox) exit.id = native::sandbox_of_init(exit.id);
    co_return exit;
  }
}

Task<void> NativeRuntime::remove(std::string container_id) {
  co_await keeper_->forget(std::move(container_id), Deadline::after_ms(native::kRequestMs));
}

Task<void> NativeRuntime::reopen_log(std::string container_id, UniqueFd log_file) {
  co_await keeper_->reopen_log(std::move(container_id), std::move(log_file),
                               Deadline::after_ms(native::kRequestMs));
}

Task<UniqueFd> NativeRuntime::stdin_of(std::string id) {
  const std::optional<KnownProcess> process = keeper_->find(id);
  if (!process || process->stdin_fd < 0) co_return UniqueFd();
  UniqueFd copy = co_await duplicate(process->stdin_fd);
  co_return copy;
}

Task<void> NativeRuntime::close_stdin(std::string id) {
  co_await keeper_->close_stdin(std::move(id), Deadline::after_ms(native::kRequestMs));
}

std::map<std::string, std::string> NativeRuntime::versions() const {
  std::map<std::string, std::string> versions;
  if (keeper_ != nullptr) versions["keeper"] = keeper_->build();
  return versions;
}

std::map<std::string, std::string> NativeRuntime::info() const {
  std::map<std::string, std::string> info;
  if (keeper_ == nullptr) return info;
  info["keeper_pid"] = std::to_string(keeper_->pid());
  info["keeper_starts"] = std::to_string(keeper_->starts());
  return info;
}

// A keeper without a process and a descriptor is of no use to the next agent.
Task<void> NativeRuntime::close() {
  if (keeper_ == nullptr) co_return;
  if (keeper_->holds_nothing()) {
    const Deadline deadline = Deadline::after_ms(native::kRequestMs);
    Result<void> ended = co_await keeper_->shutdown(deadline).result();
    if (!ended.ok()) parts_.log.warn("native", "end the keeper: " + ended.error().message());
  }
  co_await keeper_->close();
}

}  // namespace berth::plugins
