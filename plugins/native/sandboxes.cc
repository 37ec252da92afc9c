// SPDX-License-Identifier: Apache-2.0
#include "plugins/native/sandboxes.h"

#include <signal.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "core/linux/namespace.h"
#include "core/linux/pidfd.h"
#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "plugins/native/container_plan.h"
#include "plugins/native/limits.h"
#include "plugins/native/sandbox_setup.h"

namespace berth::native {
namespace {

constexpr std::string_view kInitSuffix = ".init";

container::LaunchNamespace joined(const UniqueFd& fd) {
  if (!fd.valid()) return {container::PlanNamespaceMode::host, -1};
  return {container::PlanNamespaceMode::join, fd.get()};
}

Result<UniqueFd> duplicate_if_valid(const UniqueFd& fd) {
  if (!fd.valid()) return UniqueFd();
  return fd.duplicate();
}

Error not_here(const std::string& sandbox_id) {
  return make_error(Errc::not_found, "sandbox `" + sandbox_id + "` was not started");
}

}  // namespace

std::string init_name(const std::string& sandbox_id) {
  return sandbox_id + std::string(kInitSuffix);
}

std::string sandbox_of_init(const std::string& name) {
  if (!name.ends_with(kInitSuffix)) return {};
  return name.substr(0, name.size() - kInitSuffix.size());
}

Task<plugins::SandboxStatus> Sandboxes::start(plugins::SandboxRequest request) {
  std::function<Task<plugins::SandboxStatus>(AsyncUndo&)> body = [this, &request](AsyncUndo& undo) {
    return make(request, undo);
  };
  Task<plugins::SandboxStatus> work = with_undo(std::move(body));
  plugins::SandboxStatus status = co_await std::move(work);
  co_return status;
}

Task<plugins::SandboxStatus> Sandboxes::make(plugins::SandboxRequest& request, AsyncUndo& undo) {
  const std::string id = request.sandbox_id;
  if (sandboxes_.contains(id)) {
    co_await fail(Errc::failed_precondition, "sandbox `" + id + "` was started before");
  }
  if (request.kept.size() > kKeptMax) {
    co_await fail(Errc::invalid_argument, "more than 3 descriptors to keep");
  }
  Sandbox sandbox;
  sandbox.shared = request.namespaces;
  co_await take_namespaces(request, sandbox);
  if (sandbox.shared.pid) {
    undo.push([this, id]() { return end_init(id); });
    co_await start_init(request, sandbox);
  }
  undo.push([this, id]() { return drop_held(id, ""); });
  co_await hold(id, sandbox);
  plugins::SandboxStatus status = co_await status_of(id, sandbox);
  sandboxes_.emplace(id, std::move(sandbox));
  co_return status;
}

Task<void> Sandboxes::take_namespaces(plugins::SandboxRequest& request, Sandbox& sandbox) {
  SandboxDescriptors& descriptors = sandbox.descriptors;
  if (sandbox.shared.network) descriptors.net = std::move(request.netns);
  if (sandbox.shared.ipc) descriptors.ipc = std::move(request.ipc);
  if (sandbox.shared.uts) descriptors.uts = std::move(request.uts);
  co_await make_missing(sandbox);
  descriptors.kept = std::move(request.kept);
  SandboxSettings settings{.net = descriptors.net.get(),
                           .ipc = descriptors.ipc.get(),
                           .uts = descriptors.uts.get(),
                           .hostname = request.hostname,
                           .sysctl = std::move(request.sysctl)};
  co_await configure_sandbox(ring_, std::move(settings));
}

// A pod on the host's network gets no namespaces from its network.
Task<void> Sandboxes::make_missing(Sandbox& sandbox) {
  SandboxDescriptors& descriptors = sandbox.descriptors;
  const bool needs_ipc = sandbox.shared.ipc && !descriptors.ipc.valid();
  const bool needs_uts = sandbox.shared.uts && !descriptors.uts.valid();
  const int flags = (needs_ipc ? CLONE_NEWIPC : 0) | (needs_uts ? CLONE_NEWUTS : 0);
  if (flags == 0) co_return;
  std::function<Result<sys::NamespaceSet>()> make = [flags]() {
    return sys::make_namespaces(flags);
  };
  sys::NamespaceSet set = co_await offload(ring_, std::move(make));
  if (needs_ipc) descriptors.ipc = std::move(set.ipc);
  if (needs_uts) descriptors.uts = std::move(set.uts);
}

Task<void> Sandboxes::start_init(const plugins::SandboxRequest& request, Sandbox& sandbox) {
  container::LaunchNamespaces namespaces;
  namespaces.ipc = joined(sandbox.descriptors.ipc);
  namespaces.uts = joined(sandbox.descriptors.uts);
  namespaces.network = joined(sandbox.descriptors.net);
  const container::LaunchFds fds = fds_of(request.placement);
  KeeperLaunch launch;
  launch.id = init_name(request.sandbox_id);
  launch.kind = ProcessKind::pod_init;
  launch.plan = co_await container::encode_pod_init(namespaces, request.oom_score_adj, fds);
  const std::string name = launch.id;
  plugins::Started started =
      co_await keeper_.launch(std::move(launch), Deadline::after_ms(kLaunchMs));
  const std::optional<KnownProcess> init = keeper_.find(name);
  if (!init || init->exit) {
    co_await fail(Errc::internal, "the init of sandbox `" + request.sandbox_id + "` has ended");
  }
  sandbox.descriptors.pid = co_await sys::open_namespace_of(started.pid, init->pidfd, "pid");
}

Task<void> Sandboxes::end_init(std::string sandbox_id) {
  const std::string name = init_name(sandbox_id);
  const std::optional<KnownProcess> init = keeper_.find(name);
  if (!init) co_return;
  if (!init->exit) {
    co_await sys::pidfd_send_signal(init->pidfd, SIGKILL);
    const Deadline deadline = Deadline::after_ms(kKillMs);
    co_await with_deadline(ring_, deadline, keeper_.wait_exit(name));
  }
  co_await keeper_.forget(name, Deadline::after_ms(kRequestMs));
}

Task<void> Sandboxes::hold(std::string sandbox_id, const Sandbox& sandbox) {
  std::vector<UniqueFd> fds = co_await held_copies(sandbox.descriptors);
  if (fds.empty()) co_return;
  const std::string key = held_key(sandbox_id, sandbox.descriptors);
  co_await keeper_.hold(key, std::move(fds), Deadline::after_ms(kRequestMs));
}

Task<void> Sandboxes::drop_held(std::string sandbox_id, std::string except_key) {
  const std::vector<std::string> keys = keeper_.held_keys();
  for (const std::string& key : keys) {
    if (sandbox_of_key(key) != sandbox_id || key == except_key) continue;
    co_await keeper_.drop(key, Deadline::after_ms(kRequestMs));
  }
}

Task<void> Sandboxes::stop(std::string sandbox_id) {
  co_await end_init(sandbox_id);
  co_await drop_held(sandbox_id, "");
  sandboxes_.erase(sandbox_id);
}

std::string Sandboxes::lost_of(const std::string& sandbox_id, const Sandbox& sandbox) const {
  if (sandbox.shared.pid) {
    const std::optional<KnownProcess> init = keeper_.find(init_name(sandbox_id));
    if (!init || init->exit) return "init";
  }
  return missing_namespace(sandbox.descriptors, sandbox.shared);
}

Result<plugins::SandboxStatus> Sandboxes::status_of(const std::string& sandbox_id,
                                                    const Sandbox& sandbox) const {
  plugins::SandboxStatus status;
  status.sandbox_id = sandbox_id;
  status.lost = lost_of(sandbox_id, sandbox);
  status.ready = status.lost.empty();
  const std::optional<KnownProcess> init = keeper_.find(init_name(sandbox_id));
  if (init && !init->exit) status.init_pid = init->pid;
  TRY(status.netns, duplicate_if_valid(sandbox.descriptors.net));
  for (const UniqueFd& fd : sandbox.descriptors.kept) {
    TRY(UniqueFd copy, fd.duplicate());
    status.kept.push_back(std::move(copy));
  }
  return status;
}

Result<plugins::SandboxStatus> Sandboxes::status(const std::string& sandbox_id) const {
  const auto found = sandboxes_.find(sandbox_id);
  if (found == sandboxes_.end()) return not_here(sandbox_id);
  return status_of(sandbox_id, found->second);
}

Task<void> Sandboxes::keep(std::string sandbox_id, std::vector<UniqueFd> kept) {
  const auto found = sandboxes_.find(sandbox_id);
  if (found == sandboxes_.end()) co_await fail(not_here(sandbox_id));
  if (kept.size() > kKeptMax) {
    co_await fail(Errc::invalid_argument, "more than 3 descriptors to keep");
  }
  Sandbox& sandbox = found->second;
  sandbox.descriptors.kept = std::move(kept);
  const std::string key = held_key(sandbox_id, sandbox.descriptors);
  co_await hold(sandbox_id, sandbox);
  co_await drop_held(sandbox_id, key);
}

Status Sandboxes::check_complete(const std::string& sandbox_id) const {
  const auto found = sandboxes_.find(sandbox_id);
  if (found == sandboxes_.end()) {
    return make_error(Errc::failed_precondition, "sandbox `" + sandbox_id + "` was not started");
  }
  const std::string lost = lost_of(sandbox_id, found->second);
  if (lost.empty()) return {};
  return make_error(Errc::failed_precondition, "sandbox `" + sandbox_id + "` has lost its " + lost);
}

Result<UniqueFd> Sandboxes::open_namespace(const std::string& sandbox_id,
                                           oci::NamespaceType type) const {
  const auto found = sandboxes_.find(sandbox_id);
  const UniqueFd* fd =
      found == sandboxes_.end() ? nullptr : namespace_of(found->second.descriptors, type);
  if (fd == nullptr || !fd->valid()) {
    return make_error(Errc::failed_precondition,
                      "sandbox `" + sandbox_id + "` has no such namespace to join");
  }
  return fd->duplicate();
}

std::vector<NamespaceSource> Sandboxes::living_of(const plugins::KnownSandbox& known) const {
  std::vector<std::string> names = known.container_ids;
  names.push_back(init_name(known.sandbox_id));
  std::vector<NamespaceSource> living;
  for (const std::string& name : names) {
    const std::optional<KnownProcess> process = keeper_.find(name);
    if (process && !process->exit) living.push_back({process->pid, process->pidfd});
  }
  return living;
}

Task<plugins::SandboxStatus> Sandboxes::find_again(plugins::KnownSandbox known) {
  const std::string id = known.sandbox_id;
  Sandbox& sandbox = sandboxes_[id];
  sandbox.shared = known.namespaces;
  const std::vector<std::string> keys = keeper_.held_keys();
  for (const std::string& key : keys) {
    if (sandbox_of_key(key) != id) continue;
    std::vector<UniqueFd> fds = co_await keeper_.held(key);
    sandbox.descriptors = descriptors_of_key(key, std::move(fds));
  }
  if (!missing_namespace(sandbox.descriptors, sandbox.shared).empty()) {
    const std::vector<NamespaceSource> living = living_of(known);
    for (const NamespaceSource& process : living) {
      regain_namespaces(sandbox.descriptors, sandbox.shared, process);
    }
    if (missing_namespace(sandbox.descriptors, sandbox.shared).empty()) {
      log_.warn("native", "sandbox " + id + " got its namespaces back from its processes");
      co_await hold(id, sandbox);
      co_await drop_held(id, held_key(id, sandbox.descriptors));
    }
  }
  plugins::SandboxStatus status = co_await status_of(id, sandbox);
  co_return status;
}

Task<std::vector<std::string>> Sandboxes::end_unknown() {
  std::vector<std::string> ended;
  const std::vector<KnownProcess> processes = keeper_.list();
  for (const KnownProcess& process : processes) {
    if (process.kind != ProcessKind::pod_init) continue;
    const std::string id = sandbox_of_init(process.id);
    if (sandboxes_.contains(id)) continue;
    ended.push_back("init " + process.id + " belonged to no sandbox");
    Result<void> done = co_await end_init(id).result();
    if (!done.ok()) log_.error("native", "init " + process.id + ": " + done.error().message());
  }
  const std::vector<std::string> keys = keeper_.held_keys();
  for (const std::string& key : keys) {
    if (sandboxes_.contains(sandbox_of_key(key))) continue;
    ended.push_back("namespaces " + key + " belonged to no sandbox");
    Result<void> done = co_await keeper_.drop(key, Deadline::after_ms(kRequestMs)).result();
    if (!done.ok()) log_.error("native", "namespaces " + key + ": " + done.error().message());
  }
  co_return ended;
}

}  // namespace berth::native
