// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/model.h"

#include <algorithm>
#include <utility>

#include "cri/container/calls.h"
#include "cri/sandbox/calls.h"
#include "cri/state/records.h"

namespace berth::simulation {

namespace v1 = runtime::v1;
using cri::Node;
namespace records = cri::records;

namespace {

std::string code_text(const std::optional<int>& code) {
  return code ? std::to_string(*code) : "unknown";
}

}  // namespace

void Model::violated(std::string sentence) {
  if (violation_.empty()) violation_ = std::move(sentence);
}

bool Model::may_vanish(const std::string& container_id, const std::string& pod_id) const {
  const auto container = containers.find(container_id);
  const auto pod = pods.find(pod_id);
  return (container != containers.end() && container->second.may_vanish) ||
         (pod != pods.end() && pod->second.may_vanish);
}

bool Model::is_removed(const std::string& container_id) const {
  const auto found = containers.find(container_id);
  return found != containers.end() && found->second.removed;
}

void Model::init_ended(const std::string& pod_id) {
  without_init_.insert(pod_id);
  const auto found = pods.find(pod_id);
  if (found != pods.end()) found->second.may_stop = true;
}

void Model::inits_agree(const Node& node) {
  const bool meets_faults = world_.rates.error + world_.rates.lost_answer + world_.rates.store > 0;
  for (const std::string& id : without_init_) {
    const auto sandbox = node.pods.sandbox(id);
    if (sandbox == nullptr) continue;
    if (sandbox->ready()) violated("sandbox " + id + " is ready, its init ended");
    if (!meets_faults && sandbox->phase == state::v1::SANDBOX_READY) {
      violated("sandbox " + id + " is not stopped, its init ended");
    }
  }
}

bool Model::lives(const std::string& id) const {
  const fakes::Process* process = world_.machine.find(id);
  return process != nullptr && !process->exit;
}

void Model::pod_is_running(const Node& node, const std::string& name, const std::string& id) {
  for (const auto& [other, pod] : pods) {
    if (pod.name == name && other != id && !pod.may_stop && !pod.may_vanish) {
      violated("RunPodSandbox of " + name + " gave " + id + ", while " + other + " is ready");
    }
  }
  ToldPod& pod = pods[id];
  pod.name = name;
  if (without_init_.contains(id)) pod.may_stop = true;
  if (pod.removed) violated("RunPodSandbox gave the removed sandbox " + id);
  if (pod.may_stop || pod.may_vanish) return;
  const auto sandbox = node.pods.sandbox(id);
  if (sandbox == nullptr || !sandbox->ready()) {
    violated("sandbox " + id + " is not ready after RunPodSandbox");
  }
  if (!world_.machine.sandboxes.contains(id)) {
    violated("the handler does not know sandbox " + id + " after RunPodSandbox");
  }
}

void Model::pod_is_stopped(const Node& node, const std::string& id, bool detach_may_have_failed) {
  const auto sandbox = node.pods.sandbox(id);
  if (sandbox != nullptr && sandbox->ready()) {
    violated("sandbox " + id + " is ready after StopPodSandbox");
  }
  if (world_.machine.sandboxes.contains(id)) {
    violated("the handler has sandbox " + id + " after StopPodSandbox");
  }
  if (world_.attachments.contains(id) && !detach_may_have_failed) {
    violated("sandbox " + id + " is attached after StopPodSandbox");
  }
  // A kill that fails by chance is logged, and repeated when the container is removed.
  const bool kills_fail = world_.rates.error + world_.rates.lost_answer > 0;
  for (const auto& [process_id, process] : world_.machine.processes) {
    if (kills_fail) break;
    if (process.sandbox_id == id && !process.exit && !process.ending) {
      violated("process " + process_id + " lives after StopPodSandbox of " + id);
    }
  }
}

void Model::pod_is_removed(const Node& node, const std::string& id) {
  const auto found = pods.find(id);
  if (found != pods.end()) found->second.removed = true;
  if (node.pods.sandbox(id) != nullptr) violated("sandbox " + id + " is there after its removal");
  if (records::load_sandbox(node.state, id).ok()) {
    violated("the record of sandbox " + id + " is there after its removal");
  }
  if (world_.cgroups.contains(id)) violated("the cgroup of " + id + " is there after its removal");
  if (world_.pod_files.contains(id)) violated("files of " + id + " are there after its removal");
  for (const auto& [container_id, container] : containers) {
    if (container.pod_id == id && node.pods.container(container_id) != nullptr) {
      violated("container " + container_id + " is there after the removal of " + id);
    }
  }
}

void Model::container_is_created(const Node& node, const std::string& pod_id,
                                 const std::string& name, const std::string& id) {
  const bool pod_may_vanish = pods[pod_id].may_vanish;
  for (const auto& [other, container] : containers) {
    const bool is_twin = container.pod_id == pod_id && container.name == name && other != id;
    if (is_twin && !container.may_vanish && !pod_may_vanish) {
      violated("CreateContainer of " + name + " gave " + id + ", while " + other + " is there");
    }
  }
  ToldContainer& container = containers[id];
  container.pod_id = pod_id;
  container.name = name;
  if (container.removed) violated("CreateContainer gave the removed container " + id);
  if (container.may_vanish || pod_may_vanish) return;
  if (node.pods.container(id) == nullptr) {
    violated("container " + id + " is not there after CreateContainer");
  }
  if (!records::load_container(node.state, id).ok()) {
    violated("container " + id + " has no record after CreateContainer");
  }
}

void Model::container_is_started(const Node& node, const std::string& id) {
  const auto container = node.pods.container(id);
  if (container == nullptr) {
    if (!may_vanish(id, containers[id].pod_id)) {
      violated("container " + id + " is not there after its start");
    }
    return;
  }
  const bool has_run = container->phase >= state::v1::CONTAINER_RUNNING;
  if (!has_run) violated("container " + id + " does not run after StartContainer");
  if (!world_.machine.exit_codes.contains(id) && !lives(id)) {
    violated("container " + id + " has no process after StartContainer");
  }
}

void Model::container_is_stopped(const Node& node, const std::string& id) {
  const auto container = node.pods.container(id);
  if (container == nullptr || containers[id].starting > 0) return;
  if (container->running()) violated("container " + id + " runs after StopContainer");
}

void Model::container_is_removed(const Node& node, const std::string& id) {
  const auto told = containers.find(id);
  if (told != containers.end()) told->second.removed = true;
  if (node.pods.container(id) != nullptr) {
    violated("container " + id + " is there after its removal");
  }
  if (records::load_container(node.state, id).ok()) {
    violated("the record of container " + id + " is there after its removal");
  }
  if (world_.machine.processes.contains(id)) {
    violated("the handler has container " + id + " after its removal");
  }
  if (world_.snapshots.contains(id)) {
    violated("the snapshot of container " + id + " is there after its removal");
  }
  for (const auto& [pod_id, cgroups] : world_.cgroups) {
    if (cgroups.contains(id)) violated("the cgroup of container " + id + " outlives its removal");
  }
}

void Model::observe(const Node& node) {
  for (const auto& [id, container] : node.pods.containers()) {
    if (container->phase != state::v1::CONTAINER_CREATING) observe_one(node, *container);
  }
}

void Model::observe_one(const Node& node, const cri::Container& container) {
  const std::string& id = container.id();
  const int state = static_cast<int>(cri::state_of(container));
  const auto [seen, is_new] = states_.emplace(id, state);
  const int before = is_new ? -1 : seen->second;
  // A removal that a crash cut off may not be on record.
  if (state < before && !may_vanish(id, container.item.pod_sandbox_id())) {
    violated("container " + id + " went from " +
             v1::ContainerState_Name(static_cast<v1::ContainerState>(before)) + " to " +
             v1::ContainerState_Name(static_cast<v1::ContainerState>(state)));
  }
  seen->second = state;
  const bool has_ended = container.phase == state::v1::CONTAINER_EXITED;
  if (has_ended && state != before) check_exit(node, id);
}

void Model::check_exit(const Node& node, const std::string& id) {
  const Result<records::ContainerRecord> record = records::load_container(node.state, id);
  if (!record.ok()) {
    violated("container " + id + " has ended without a record: " + record.error().message());
    return;
  }
  if (record->phase() != state::v1::CONTAINER_EXITED) {
    violated("container " + id + " has ended, its record does not say so");
    return;
  }
  if (record->reason() == "StartError") {
    const auto told = containers.find(id);
    const bool was_started = told != containers.end() && told->second.was_started;
    if (!was_started) violated("container " + id + " has a StartError without a start");
    return;
  }
  const std::vector<std::optional<int>>& codes = world_.machine.exit_codes[id];
  const bool is_unknown = record->reason() == "ExitCodeUnknown";
  const std::optional<int> code =
      is_unknown ? std::nullopt : std::optional<int>(record->exit_code());
  if (std::find(codes.begin(), codes.end(), code) == codes.end()) {
    violated("container " + id + " is told to have ended with " + code_text(code) + " (" +
             record->reason() + "), the handler said " +
             (codes.empty() ? "nothing" : code_text(codes.back())));
  }
}

void Model::pods_agree(const Node& node) {
  for (const auto& [id, sandbox] : node.pods.sandboxes()) {
    const bool is_held = world_.machine.sandboxes.contains(id);
    if (sandbox->phase != state::v1::SANDBOX_READY &&
        sandbox->phase != state::v1::SANDBOX_STOPPED) {
      violated("sandbox " + id + " is half made or half removed");
    }
    if (sandbox->ready() != is_held) {
      violated("sandbox " + id +
               (is_held ? " is stopped, the handler has it" : " is ready, the handler has it not"));
    }
    const Result<records::SandboxRecord> record = records::load_sandbox(node.state, id);
    if (!record.ok() || record->phase() != sandbox->phase) {
      violated("sandbox " + id + " differs from its record");
    }
  }
  for (const auto& [id, pod] : pods) {
    const auto sandbox = node.pods.sandbox(id);
    if (sandbox == nullptr && !pod.may_vanish) violated("sandbox " + id + " has vanished");
    if (sandbox != nullptr && pod.removed) violated("the removed sandbox " + id + " is back");
    if (sandbox != nullptr && !sandbox->ready() && !pod.may_stop && !pod.may_vanish) {
      violated("sandbox " + id + " was stopped by no request");
    }
  }
}

void Model::containers_agree(const Node& node) {
  for (const auto& [id, container] : node.pods.containers()) {
    const bool is_whole = container->phase == state::v1::CONTAINER_CREATED ||
                          container->phase == state::v1::CONTAINER_RUNNING ||
                          container->phase == state::v1::CONTAINER_EXITED;
    if (!is_whole) violated("container " + id + " is half made or half removed");
    if (container->running() && !lives(id)) {
      violated("container " + id + " does not live, its record says so");
    }
    // A process that was killed may need a moment to end.
    if (!container->running() && lives(id) && !world_.machine.find(id)->ending) {
      violated("container " + id + " lives, its record does not say so");
    }
    const Result<records::ContainerRecord> record = records::load_container(node.state, id);
    if (!record.ok() || record->phase() != container->phase) {
      violated("container " + id + " differs from its record");
    }
    if (!world_.snapshots.contains(id) && !may_vanish(id, container->item.pod_sandbox_id())) {
      violated("container " + id + " has no snapshot");
    }
  }
  for (const auto& [id, told] : containers) {
    const bool is_there = node.pods.container(id) != nullptr;
    if (!is_there && !may_vanish(id, told.pod_id)) violated("container " + id + " has vanished");
    if (is_there && told.removed) violated("the removed container " + id + " is back");
  }
}

void Model::world_agrees(const Node& node) {
  for (const auto& [id, process] : world_.machine.processes) {
    const bool is_known =
        process.of == plugins::Exit::Of::container
            ? node.pods.container(id) != nullptr
            : process.of == plugins::Exit::Of::sandbox && node.pods.sandbox(id) != nullptr;
    if (!is_known) violated("process " + id + " belongs to no record");
  }
  for (const auto& [id, sandbox] : world_.machine.sandboxes) {
    if (node.pods.sandbox(id) == nullptr) violated("the handler has sandbox " + id + " alone");
  }
  for (const auto& [pod_id, cgroups] : world_.cgroups) {
    if (node.pods.sandbox(pod_id) == nullptr) violated("cgroup " + pod_id + " has no sandbox");
    for (const std::string& id : cgroups) {
      if (node.pods.container(id) == nullptr) violated("cgroup " + id + " has no container");
    }
  }
  for (const auto& [id, snapshot] : world_.snapshots) {
    const bool is_committed = snapshot.kind == plugins::SnapshotKind::committed;
    if (!is_committed && node.pods.container(id) == nullptr) {
      violated("snapshot " + id + " has no container");
    }
  }
  for (const auto& [id, address] : world_.attachments) {
    const auto sandbox = node.pods.sandbox(id);
    if (sandbox == nullptr || !sandbox->ready()) {
      violated("the network has an attachment of " + id + ", which is not ready");
    }
  }
}

void Model::agrees(const Node& node) {
  pods_agree(node);
  containers_agree(node);
  world_agrees(node);
}

void Model::nothing_is_left(const Node& node) {
  if (!node.pods.sandboxes().empty()) violated("a sandbox is left");
  if (!node.pods.containers().empty()) violated("a container is left");
  if (!node.pods.attempts.empty()) violated("an attempt is left");
  if (!node.pods.execs.empty()) violated("an exec is left");
  if (!world_.machine.processes.empty()) {
    violated("process " + world_.machine.processes.begin()->first + " is left");
  }
  if (!world_.machine.sandboxes.empty()) violated("the handler has a sandbox left");
  if (!world_.cgroups.empty()) violated("cgroup " + world_.cgroups.begin()->first + " is left");
  if (!world_.pod_files.empty()) violated("files of a pod are left");
  if (!world_.attachments.empty()) violated("a network attachment is left");
  for (const auto& [id, snapshot] : world_.snapshots) {
    if (snapshot.kind != plugins::SnapshotKind::committed) violated("snapshot " + id + " is left");
  }
  for (const store::Table table : {records::kSandboxes, records::kContainers}) {
    const Status read = node.state.for_each(table, [this, table](std::string_view key, auto) {
      violated("record " + std::string(table.name) + "/" + std::string(key) + " is left");
      return true;
    });
    if (!read.ok()) violated(read.error().message());
  }
}

}  // namespace berth::simulation
