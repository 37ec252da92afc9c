// SPDX-License-Identifier: Apache-2.0
#include "cri/reconcile.h"

#include <fcntl.h>

#include <filesystem>
#include <map>
#include <set>

#include "core/store/ledger.h"
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

void adopt_namespaces(Node& node, Sandbox& sandbox) {
  for (const std::string& key : node.keeper.held_keys()) {
    if (pod_of_held(key) != sandbox.id()) continue;
    Result<std::vector<UniqueFd>> fds = node.keeper.held(key);
    if (fds.ok()) sandbox.namespaces = namespaces_of_held(key, std::move(*fds));
  }
}

// Both programs died: what the keeper held is gone, but a living container is still in its
// namespaces.
void namespaces_from_process(Sandbox& sandbox, const NamespaceWish& wish, pid_t pid) {
  const std::string base = "/proc/" + std::to_string(pid) + "/ns/";
  const auto open_one = [&base](bool wanted, const char* kind, UniqueFd& into) {
    if (!wanted || into.valid()) return;
    into.reset(::open((base + kind).c_str(), O_RDONLY | O_CLOEXEC));
  };
  open_one(wish.net, "net", sandbox.namespaces.net);
  open_one(wish.ipc, "ipc", sandbox.namespaces.ipc);
  open_one(wish.uts, "uts", sandbox.namespaces.uts);
}

bool complete(const Sandbox& sandbox, const NamespaceWish& wish) {
  return (!wish.net || sandbox.namespaces.net.valid()) &&
         (!wish.ipc || sandbox.namespaces.ipc.valid()) &&
         (!wish.uts || sandbox.namespaces.uts.valid());
}

// Brings one container's record and the keeper's knowledge together.
Task<void> settle(Node& node, std::shared_ptr<Container> container, Known& known, Report& report) {
  const std::string id = container->id();
  const auto living = known.living.find(id);
  const auto exited = known.exited.find(id);
  if (container->phase == state::v1::CONTAINER_ENDED) {
    container->ended.set();
    co_return;
  }
  if (living != known.living.end()) {
    const bool noted = container->living();
    container->phase = state::v1::CONTAINER_LIVING;
    container->pid = living->second.pid;
    container->pidfd = std::move(living->second.pidfd);
    if (noted) co_return;
    records::ContainerRecord record = co_await records::load_container(node.state, id);
    record.set_phase(state::v1::CONTAINER_LIVING);
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
  if (!container->living()) co_return;
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
    co_await settle(node, container, known, report);
  }
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
    report.mended.push_back("container " + container->id() + " was half made or half removed");
    co_await remove_container_now(node, container);
  }
  std::vector<std::shared_ptr<Sandbox>> sandboxes;
  for (const auto& [id, sandbox] : node.pods.sandboxes()) sandboxes.push_back(sandbox);
  for (const std::shared_ptr<Sandbox>& sandbox : sandboxes) {
    if (sandbox->phase == state::v1::SANDBOX_STOPPED) continue;
    if (sandbox->phase == state::v1::SANDBOX_READY) {
      const records::SandboxRecord record =
          co_await records::load_sandbox(node.state, sandbox->id());
      const NamespaceWish wish = NamespaceWish::of(record.config());
      for (const std::string& id : sandbox->container_ids) {
        const std::shared_ptr<Container> container = node.pods.container(id);
        if (container != nullptr && container->living()) {
          namespaces_from_process(*sandbox, wish, container->pid);
        }
      }
      if (complete(*sandbox, wish)) continue;
      report.mended.push_back("sandbox " + sandbox->id() + " lost its namespaces: stopped");
      co_await stop_sandbox(node, sandbox);
      continue;
    }
    report.mended.push_back("sandbox " + sandbox->id() + " was half made or half removed");
    co_await stop_sandbox(node, sandbox);
    co_await remove_sandbox(node, sandbox);
  }
}

// Processes and descriptors that the keeper has and no record knows.
Task<void> sweep_keeper(Node& node, const Known& known, Report& report) {
  for (const auto& [id, living] : known.living) {
    if (node.pods.container(id) != nullptr) continue;
    bool is_init = false;
    for (const auto& [pod, sandbox] : node.pods.sandboxes()) is_init |= pod_init_name(pod) == id;
    if (is_init) continue;
    report.mended.push_back("process " + id + " belonged to no container");
    co_await node.handler.signal(id, 9);
  }
  for (const auto& [id, exit] : known.exited) {
    if (node.pods.container(id) == nullptr) co_await node.handler.remove(id);
  }
  for (const std::string& key : node.keeper.held_keys()) {
    if (node.pods.sandbox(pod_of_held(key)) != nullptr) continue;
    report.mended.push_back("namespaces " + key + " belonged to no sandbox");
    co_await node.keeper.drop(key, Deadline::after_ms(kKeeperMsMax));
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
    co_await node.snapshotter.remove(snapshot.name);
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

Status sweep_ledger(Node& node, Report& report) {
  return node.state.write([&](store::WriteTxn& txn) -> Status {
    TRY(const std::vector<store::LedgerRow> rows, store::ledger_all(txn));
    for (const store::LedgerRow& row : rows) {
      if (node.pods.sandbox(row.owner) != nullptr) continue;
      TRY_(store::ledger_clear(txn, row));
      report.mended.push_back("ledger row " + row.id + " belonged to no sandbox");
    }
    return {};
  });
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

Task<void> recover_plugins(Node& node) {
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
  co_await node.resources.recover(std::move(cgroups));
  co_await node.pod_network.recover(std::move(pods));
}

}  // namespace

std::string ReconcileReport::summary() const {
  return "reconcile: pods=" + std::to_string(pods) + " containers=" + std::to_string(containers) +
         " mended=" + std::to_string(mended.size());
}

Task<ReconcileReport> reconcile(Node& node) {
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
  co_await recover_plugins(node);
  co_await settle_all(node, known, report);
  co_await finish_pods(node, report);
  co_await sweep_keeper(node, known, report);
  co_await sweep_snapshots(node, report);
  sweep_files(node, report);
  Status ledger = sweep_ledger(node, report);
  co_await std::move(ledger);
  report.pods = node.pods.sandboxes().size();
  report.containers = node.pods.containers().size();
  co_return report;
}

}  // namespace berth::cri
