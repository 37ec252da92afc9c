// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile.h"

#include <fcntl.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <set>

#include "core/linux/namespace.h"
#include "cri/container/calls.h"
#include "cri/container/image_volumes.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/pod_init.h"

namespace berth::cri {

namespace {

using Report = ReconcileReport;

struct Known {
  std::map<std::string, plugins::Living> living;
  std::map<std::string, plugins::Exit> exited;
};

// One thing that cannot be mended must not keep the agent from managing all others.
Task<void> try_step(Report& report, std::string what, Task<void> step) {
  Result<void> done = co_await std::move(step).result();
  if (done.ok()) co_return;
  if (!done.error().is(Errc::cancelled)) {
    report.failed.push_back(what + ": " + done.error().message());
  } else {
    co_await std::move(done);
  }
}

void adopt_namespaces(Node& node, Sandbox& sandbox) {
  for (const std::string& key : node.keeper.held_keys()) {
    if (pod_of_held(key) != sandbox.id()) continue;
    Result<std::vector<UniqueFd>> fds = node.keeper.held(key);
    if (fds.ok()) sandbox.namespaces = namespaces_of_held(key, std::move(*fds));
  }
}

// What the keeper held is gone when both programs died, but a living process of the pod is still in
// its namespaces.
struct LivingProcess {
  pid_t pid = 0;
  int pidfd = -1;  // borrowed
};

void namespaces_from_process(Sandbox& sandbox, const NamespaceWish& wish,
                             const LivingProcess& process) {
  const auto open_one = [&process](bool wanted, const char* kind, UniqueFd& into) {
    if (!wanted || into.valid()) return;
    Result<UniqueFd> fd = sys::open_namespace_of(process.pid, process.pidfd, kind);
    if (fd.ok()) into = std::move(*fd);
  };
  open_one(wish.net, "net", sandbox.namespaces.net);
  open_one(wish.ipc, "ipc", sandbox.namespaces.ipc);
  open_one(wish.uts, "uts", sandbox.namespaces.uts);
  open_one(wish.shared_pid, "pid", sandbox.namespaces.pid);
}

std::vector<LivingProcess> living_processes(const Node& node, const Sandbox& sandbox) {
  std::vector<LivingProcess> living;
  for (const std::string& id : sandbox.container_ids) {
    const std::shared_ptr<Container> container = node.pods.container(id);
    if (container == nullptr || !container->running()) continue;
    living.push_back({container->pid, container->pidfd.get()});
  }
  const std::optional<keeper::KnownProcess> init = node.keeper.find(pod_init_name(sandbox.id()));
  if (init && !init->exit) living.push_back({init->pid, init->pidfd});
  return living;
}

// False: the pod cannot run another container.
Task<bool> regain_namespaces(Node& node, Sandbox& sandbox, const records::SandboxRecord& record,
                             Report& report) {
  const NamespaceWish wish = NamespaceWish::of(record.config());
  if (wish.shared_pid && !node.keeper.find(pod_init_name(sandbox.id()))) co_return false;
  if (check_complete(sandbox.id(), sandbox.namespaces, wish).ok()) co_return true;
  for (const LivingProcess& process : living_processes(node, sandbox)) {
    namespaces_from_process(sandbox, wish, process);
  }
  // Only detached, so nobody can find it again: containers from now on share a new one.
  if (!sandbox.namespaces.tmpfs.valid()) {
    sandbox.namespaces.tmpfs = co_await make_pod_tmpfs(record);
  }
  if (!check_complete(sandbox.id(), sandbox.namespaces, wish).ok()) co_return false;
  report.mended.push_back("sandbox " + sandbox.id() +
                          " got its namespaces back from its processes");
  co_await drop_namespaces(node, sandbox.id());
  co_await hold_namespaces(node, sandbox.id(), sandbox.namespaces);
  co_return true;
}

// Brings one container's record and the keeper's knowledge together.
Task<void> settle(Node& node, std::shared_ptr<Container> container, Known& known, Report& report) {
  const std::string id = container->id();
  const auto living = known.living.find(id);
  const auto exited = known.exited.find(id);
  if (container->phase == state::v1::CONTAINER_EXITED) {
    container->ended.set();
    co_return;
  }
  if (living != known.living.end()) {
    const bool noted = container->running();
    container->phase = state::v1::CONTAINER_RUNNING;
    container->pid = living->second.pid;
    container->pidfd = std::move(living->second.pidfd);
    if (noted) co_return;
    records::ContainerRecord record = co_await records::load_container(node.state, id);
    record.set_phase(state::v1::CONTAINER_RUNNING);
    record.set_pid(container->pid);
    record.set_started_at(living->second.started_at_ns);
    co_await records::save(node.state, record);
    report.mended.push_back("container " + id + " runs, its record did not say so");
    co_return;
  }
  if (exited != known.exited.end()) {
    co_await note_end(node, container, exited->second);
    report.mended.push_back("container " + id + " ended while the agent was away");
    co_return;
  }
  if (!container->running()) co_return;
  // Nobody watches it: whatever is left of it must not go on unseen.
  Result<void> killed = co_await node.resources.kill(container->item.pod_sandbox_id(), id).result();
  static_cast<void>(killed);
  plugins::Exit unseen;
  unseen.id = id;
  co_await note_end(node, container, std::move(unseen));
  report.mended.push_back("container " + id + " was lost with the keeper: exit code unknown");
}

Task<void> load_pods(Node& node, Report& report) {
  const std::vector<records::SandboxRecord> sandboxes =
      co_await records::all_sandboxes(node.state, node.log);
  for (const records::SandboxRecord& record : sandboxes) {
    const std::shared_ptr<Sandbox> sandbox = sandbox_of(record);
    adopt_namespaces(node, *sandbox);
    node.pods.add(sandbox);
  }
  const std::vector<records::ContainerRecord> containers =
      co_await records::all_containers(node.state, node.log);
  for (const records::ContainerRecord& record : containers) {
    const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(record.sandbox_id());
    if (sandbox == nullptr) {
      // Its pod's record is gone or set aside. Without a pod nobody can ask for it.
      co_await records::erase_container(node.state, record.id());
      report.mended.push_back("container " + record.id() + " had no sandbox");
      continue;
    }
    node.pods.add(container_of(record, sandbox));
  }
}

Task<void> settle_all(Node& node, Known& known, Report& report) {
  std::vector<std::shared_ptr<Container>> containers;
  for (const auto& [id, container] : node.pods.containers()) containers.push_back(container);
  for (const std::shared_ptr<Container>& container : containers) {
    Task<void> step = settle(node, container, known, report);
    co_await try_step(report, "container " + container->id(), std::move(step));
  }
}

// Without its log a container stops at its next line, so this is tried for as long as it lives.
Task<void> regain_log(Node& node, std::shared_ptr<Container> container) {
  constexpr std::int64_t kAgainMs = 1000;
  bool told = false;
  while (container->running()) {
    Result<void> reopened = co_await reopen_log(node, container).result();
    if (reopened.ok()) co_return;
    if (!std::exchange(told, true)) {
      node.log.warn("reconcile", "log of " + container->id() + ": " + reopened.error().message());
    }
    co_await node.ring.sleep_until(Deadline::after_ms(kAgainMs));
  }
}

// A keeper that neither its predecessor nor an agent handed anything to found its containers and
// their pipes again, but not their logs. Not awaited: a log directory may hang.
void regain_logs(Node& node) {
  for (const keeper::KnownProcess& process : node.keeper.list()) {
    const bool lost = (process.flags & keeper::kLogged) != 0 && !process.has_log;
    const std::shared_ptr<Container> container = node.pods.container(process.id);
    if (!lost || process.exit || container == nullptr || !container->running()) continue;
    node.attempts.spawn(regain_log(node, container));
  }
}

Task<void> finish_container(Node& node, std::shared_ptr<Container> container, Report& report) {
  const Mutex::Guard guard = co_await container->sandbox->lock.lock();
  report.mended.push_back("container " + container->id() + " was half made or half removed");
  co_await remove_container_now(node, container);
}

Task<void> finish_sandbox(Node& node, std::shared_ptr<Sandbox> sandbox, Report& report) {
  const Mutex::Guard guard = co_await sandbox->lock.lock();
  if (sandbox->phase == state::v1::SANDBOX_STOPPED) co_return;
  if (sandbox->phase != state::v1::SANDBOX_READY) {
    report.mended.push_back("sandbox " + sandbox->id() + " was half made or half removed");
    co_await stop_sandbox(node, sandbox);
    co_await remove_sandbox(node, sandbox);
    co_return;
  }
  const records::SandboxRecord record = co_await records::load_sandbox(node.state, sandbox->id());
  const bool whole = co_await regain_namespaces(node, *sandbox, record, report);
  if (whole) co_return;
  report.mended.push_back("sandbox " + sandbox->id() + " lost its namespaces: stopped");
  co_await stop_sandbox(node, sandbox);
}

// Takes apart what a crash left half made or half removed, and stops pods whose namespaces are
// gone.
Task<void> finish_pods(Node& node, Report& report) {
  std::vector<std::shared_ptr<Container>> unfinished;
  for (const auto& [id, container] : node.pods.containers()) {
    if (container->phase == state::v1::CONTAINER_CREATING ||
        container->phase == state::v1::CONTAINER_REMOVING) {
      unfinished.push_back(container);
    }
  }
  for (const std::shared_ptr<Container>& container : unfinished) {
    Task<void> step = finish_container(node, container, report);
    co_await try_step(report, "container " + container->id(), std::move(step));
  }
  std::vector<std::shared_ptr<Sandbox>> sandboxes;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) sandboxes.push_back(sandbox);
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) {
    Task<void> step = finish_sandbox(node, sandbox, report);
    co_await try_step(report, "sandbox " + sandbox->id(), std::move(step));
  }
}

// Processes and descriptors that the keeper has and no record knows.
Task<void> sweep_keeper(Node& node, const Known& known, Report& report) {
  for (const auto& [id, living] : known.living) {
    if (node.pods.container(id) != nullptr) continue;
    report.mended.push_back("process " + id + " belonged to no container");
    // Its end is told like every other, and then it is forgotten.
    Task<void> step = node.handler.signal(id, SIGKILL);
    co_await try_step(report, "process " + id, std::move(step));
  }
  for (const keeper::KnownProcess& process : node.keeper.list()) {
    if (process.kind == keeper::ProcessKind::exec && !process.exit) {
      // Its client went with the agent that asked for it, and nobody has its timeout.
      report.mended.push_back("exec " + process.id + " belonged to no call");
      Task<void> step = node.handler.signal(process.id, SIGKILL);
      co_await try_step(report, "exec " + process.id, std::move(step));
    }
    if (process.kind != keeper::ProcessKind::pod_init) continue;
    const std::string pod = pod_of_init(process.id);
    if (node.pods.sandbox(pod) != nullptr) continue;
    report.mended.push_back("init " + process.id + " belonged to no sandbox");
    Task<void> step = end_pod_init(node, pod);
    co_await try_step(report, "init " + process.id, std::move(step));
  }
  for (const std::string& key : node.keeper.held_keys()) {
    if (node.pods.sandbox(pod_of_held(key)) != nullptr) continue;
    report.mended.push_back("namespaces " + key + " belonged to no sandbox");
    Task<void> step = node.keeper.drop(key, Deadline::after_ms(kKeeperMsMax));
    co_await try_step(report, "namespaces " + key, std::move(step));
  }
}

Task<void> sweep_snapshots(Node& node, Report& report) {
  const std::vector<plugins::SnapshotInfo> snapshots = co_await node.snapshotter.walk();
  for (const plugins::SnapshotInfo& snapshot : snapshots) {
    if (snapshot.kind == plugins::SnapshotKind::committed) continue;
    // Unfinished layers are the Puller's to sweep.
    if (snapshot.name.rfind("extract-", 0) == 0) continue;
    if (node.pods.container(container_of_key(snapshot.name)) != nullptr) continue;
    report.mended.push_back("snapshot " + snapshot.name + " belonged to no container");
    Task<void> step = node.snapshotter.remove(snapshot.name);
    co_await try_step(report, "snapshot " + snapshot.name, std::move(step));
  }
}

void sweep_files(Node& node, Report& report) {
  std::error_code failed;
  Result<std::vector<std::string>> volumes = sweep_artifact_volumes(node);
  if (!volumes.ok()) {
    node.log.warn("reconcile", volumes.error().message());
  } else {
    for (const std::string& id : *volumes) {
      report.mended.push_back("artifact volume of " + id + " belonged to no container");
    }
  }
  std::vector<std::string> strangers;
  for (std::filesystem::directory_iterator entry(node.layout.pods(), failed), end;
       !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().filename().string();
    if (node.pods.sandbox(name) == nullptr) strangers.push_back(entry->path().string());
  }
  for (const std::string& path : strangers) {
    std::filesystem::remove_all(path, failed);
    report.mended.push_back("directory " + path + " belonged to no sandbox");
  }
}

std::vector<plugins::LivingCgroup> living_cgroups(
    const Node& node, const std::map<std::string, std::string>& cgroup_parents) {
  std::vector<plugins::LivingCgroup> living;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    const auto parent = cgroup_parents.find(id);
    living.push_back(
        {id, parent == cgroup_parents.end() ? "" : parent->second, sandbox->container_ids});
  }
  return living;
}

Task<void> recover_plugins(Node& node, Report& report) {
  std::map<std::string, std::string> cgroup_parents;
  std::vector<plugins::NetworkPod> pods;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    const records::SandboxRecord record = co_await records::load_sandbox(node.state, id);
    cgroup_parents[id] = record.config().linux().cgroup_parent();
    if (!sandbox->namespaces.net.valid()) continue;
    UniqueFd netns(::fcntl(sandbox->namespaces.net.get(), F_DUPFD_CLOEXEC, 3));
    pods.push_back({id, std::move(netns)});
  }
  std::vector<plugins::LivingCgroup> cgroups = living_cgroups(node, cgroup_parents);
  Task<void> of_cgroups = node.resources.recover(std::move(cgroups));
  co_await try_step(report, "cgroups", std::move(of_cgroups));
  Task<void> of_network = node.pod_network.recover(std::move(pods));
  co_await try_step(report, "network", std::move(of_network));
}

}  // namespace

std::string ReconcileReport::summary() const {
  return "reconcile: pods=" + std::to_string(pods) + " containers=" + std::to_string(containers) +
         " mended=" + std::to_string(mended.size()) + " failed=" + std::to_string(failed.size());
}

Task<ReconcileReport> reconcile(Node& node, Scope& watchers) {
  Report report;
  plugins::Recovered recovered = co_await node.handler.recover();
  Known known;
  for (plugins::Living& living : recovered.living) {
    const std::string id = living.container_id;
    known.living[id] = std::move(living);
  }
  for (plugins::Exit& exit : recovered.exited) known.exited[exit.id] = exit;
  co_await load_pods(node, report);
  // The plugins hear of everything that has a record, also of what is taken apart a moment later.
  co_await recover_plugins(node, report);
  co_await settle_all(node, known, report);
  regain_logs(node);
  // Who takes a pod apart waits for the ends of its containers.
  watchers.spawn(watch_exits(node));
  co_await finish_pods(node, report);
  co_await sweep_keeper(node, known, report);
  Task<void> snapshots = sweep_snapshots(node, report);
  co_await try_step(report, "snapshots", std::move(snapshots));
  sweep_files(node, report);
  report.pods = node.pods.sandboxes().size();
  report.containers = node.pods.containers().size();
  co_return report;
}

}  // namespace berth::cri
