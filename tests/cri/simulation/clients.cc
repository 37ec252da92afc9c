// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/clients.h"

#include <utility>

#include "core/ring/with_deadline.h"
#include "cri/container/calls.h"
#include "cri/sandbox/calls.h"
#include "tests/cri/simulation/place.h"

namespace berth::simulation {

namespace v1 = runtime::v1;

namespace {

// Takes the entry away however the call ends.
class Listed {
 public:
  Listed(std::list<CallUnderWay>& list, const char* name)
      : list_(list), place_(list.insert(list.end(), {name, monotonic_now_ns()})) {}
  Listed(const Listed&) = delete;
  ~Listed() { list_.erase(place_); }

 private:
  std::list<CallUnderWay>& list_;
  std::list<CallUnderWay>::iterator place_;
};

v1::PodSandboxConfig pod_config(const std::string& name, bool shared_pid) {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid(name + "-uid");
  config.set_log_directory("/var/log/pods/" + name);
  v1::NamespaceOption* options =
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_pid(shared_pid ? v1::NamespaceMode::POD : v1::NamespaceMode::CONTAINER);
  return config;
}

}  // namespace

template <typename Response>
Task<Response> Clients::call(const char* name, Task<Response> task) {
  const Listed listed(under_way_, name);
  Result<Response> answer = co_await std::move(task).result();
  co_return answer;
}

std::string Clients::any_pod() {
  if (model_.pods.empty()) return "unknown-pod";
  std::vector<std::string> ids;
  for (const auto& [id, pod] : model_.pods) ids.push_back(id);
  return world_.chance.one_of(ids);
}

std::string Clients::any_container() {
  if (model_.containers.empty()) return "unknown-container";
  std::vector<std::string> ids;
  for (const auto& [id, container] : model_.containers) ids.push_back(id);
  return world_.chance.one_of(ids);
}

Task<void> Clients::run() {
  const TaskContext context = co_await this_task();
  Scope left(*context.queue, nullptr);
  for (unsigned i = 0; i < options_.calls; ++i) {
    const std::int64_t pause_ns = world_.chance.duration_ns(100 * kNanosecondsPerMillisecond);
    Result<void> slept = co_await world_.ring.sleep_until(Deadline::after_ns(pause_ns)).result();
    if (!slept.ok()) break;
    if (world_.chance.percent(options_.given_up)) {
      left.spawn(any_call());
    } else {
      co_await any_call();
    }
  }
  co_await left.close();
}

Task<void> Clients::any_call() {
  const std::uint64_t choice = world_.chance.pick(100);
  if (choice < 15) return run_pod();
  if (choice < 38) return create();
  if (choice < 58) return start(any_container());
  if (choice < 70) return stop(any_container());
  if (choice < 80) return remove(any_container());
  if (choice < 85) return stop_pod(any_pod());
  if (choice < 89) return remove_pod(any_pod());
  if (choice < 94) return exec(any_container());
  if (choice < 98) return status(any_container());
  return list();
}

Task<void> Clients::run_pod() {
  const std::string name = "pod-" + std::to_string(world_.chance.pick(options_.pods));
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = pod_config(name, options_.shared_pid);
  Result<v1::RunPodSandboxResponse> answer =
      co_await call("RunPodSandbox", cri::run_pod_sandbox(node_, request)).result();
  if (counts() && answer.ok()) model_.pod_is_running(node_, name, answer->pod_sandbox_id());
}

Task<void> Clients::create() {
  const std::string pod_id = any_pod();
  const std::string name = "container-" + std::to_string(world_.chance.pick(options_.containers));
  using Kind = fakes::Program::Kind;
  static const std::vector<Kind> kinds = {Kind::sleeps, Kind::sleeps, Kind::exits,
                                          Kind::exits_on_term, Kind::missing};
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod_id);
  v1::ContainerConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(name);
  config.mutable_image()->set_image(kImage);
  config.set_log_path(name + ".log");
  const int exit_code = static_cast<int>(world_.chance.pick(100));
  const fakes::Program program{.kind = world_.chance.one_of(kinds), .exit_code = exit_code};
  for (const std::string& word : fakes::args_of(program)) config.add_command(word);
  config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
      options_.shared_pid ? v1::NamespaceMode::POD : v1::NamespaceMode::CONTAINER);
  *request.mutable_sandbox_config() = pod_config("pod", options_.shared_pid);
  Result<v1::CreateContainerResponse> answer =
      co_await call("CreateContainer", cri::create_container(node_, request)).result();
  if (counts() && answer.ok()) {
    model_.container_is_created(node_, pod_id, name, answer->container_id());
  }
}

Task<void> Clients::start(std::string id) {
  const auto told = model_.containers.find(id);
  if (told == model_.containers.end()) co_return;
  told->second.was_started = true;
  ++told->second.starting;
  v1::StartContainerRequest request;
  request.set_container_id(id);
  Result<v1::StartContainerResponse> answer =
      co_await call("StartContainer", cri::start_container(node_, request)).result();
  --told->second.starting;
  if (counts() && answer.ok()) model_.container_is_started(node_, id);
}

Task<void> Clients::stop(std::string id) {
  v1::StopContainerRequest request;
  request.set_container_id(id);
  static const std::vector<std::int64_t> timeouts = {0, 0, 1, 30};
  request.set_timeout(world_.chance.one_of(timeouts));
  Result<v1::StopContainerResponse> answer =
      co_await call("StopContainer", cri::stop_container(node_, request)).result();
  if (counts() && answer.ok()) model_.container_is_stopped(node_, id);
}

Task<void> Clients::remove(std::string id) {
  const auto told = model_.containers.find(id);
  if (told != model_.containers.end()) told->second.may_vanish = true;
  v1::RemoveContainerRequest request;
  request.set_container_id(id);
  Result<v1::RemoveContainerResponse> answer =
      co_await call("RemoveContainer", cri::remove_container(node_, request)).result();
  if (counts() && answer.ok()) model_.container_is_removed(node_, id);
}

Task<void> Clients::stop_pod(std::string id) {
  const auto told = model_.pods.find(id);
  if (told != model_.pods.end()) told->second.may_stop = true;
  v1::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  Result<v1::StopPodSandboxResponse> answer =
      co_await call("StopPodSandbox", cri::stop_pod_sandbox(node_, request)).result();
  if (counts() && answer.ok()) model_.pod_is_stopped(node_, id, faults_.has_failed_detach());
}

Task<void> Clients::remove_pod(std::string id) {
  const auto told = model_.pods.find(id);
  if (told != model_.pods.end()) {
    told->second.may_stop = true;
    told->second.may_vanish = true;
  }
  v1::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  Result<v1::RemovePodSandboxResponse> answer =
      co_await call("RemovePodSandbox", cri::remove_pod_sandbox(node_, request)).result();
  if (counts() && answer.ok()) model_.pod_is_removed(node_, id);
}

Task<void> Clients::exec(std::string id) {
  v1::ExecSyncRequest request;
  request.set_container_id(id);
  const int exit_code = static_cast<int>(world_.chance.pick(100));
  const bool sleeps = world_.chance.percent(30);
  const fakes::Program program{
      .kind = sleeps ? fakes::Program::Kind::sleeps : fakes::Program::Kind::exits,
      .exit_code = exit_code};
  for (const std::string& word : fakes::args_of(program)) request.add_cmd(word);
  request.set_timeout(sleeps ? 2 : 20);
  // The one call that ends with its client (cri/methods.cc).
  const bool is_patient = !world_.chance.percent(options_.given_up);
  const std::int64_t patience_ns = world_.chance.duration_ns(300 * kNanosecondsPerMillisecond);
  const Deadline patience = is_patient ? Deadline::never() : Deadline::after_ns(patience_ns);
  Task<v1::ExecSyncResponse> answered = call("ExecSync", cri::exec_sync(node_, request));
  Result<v1::ExecSyncResponse> answer =
      co_await with_deadline(world_.ring, patience, std::move(answered)).result();
  if (!counts() || !answer.ok()) co_return;
  constexpr int kUnknown = 255;
  constexpr int kKilled = 137;
  const int told = answer->exit_code();
  if (told != kKilled && told != kUnknown && (sleeps || told != exit_code)) {
    model_.violated("an exec of `exit " + std::to_string(exit_code) + "` gave " +
                    std::to_string(told));
  }
}

Task<void> Clients::status(std::string id) {
  v1::ContainerStatusRequest request;
  request.set_container_id(id);
  Result<v1::ContainerStatusResponse> answer =
      co_await call("ContainerStatus", cri::container_status(node_, request)).result();
  if (counts() && answer.ok() && model_.is_removed(id)) {
    model_.violated("the removed container " + id + " has a status");
  }
}

Task<void> Clients::list() {
  const v1::ListContainersRequest request;
  Result<v1::ListContainersResponse> answer =
      co_await call("ListContainers", cri::list_containers(node_, request)).result();
  if (!counts() || !answer.ok()) co_return;
  for (const v1::Container& item : answer->containers()) {
    if (model_.is_removed(item.id())) {
      model_.violated("the removed container " + item.id() + " is listed");
    }
  }
}

Task<void> Clients::end_processes(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const std::int64_t pause_ns = world_.chance.duration_ns(400 * kNanosecondsPerMillisecond);
    co_await world_.ring.sleep_until(Deadline::after_ns(pause_ns));
    std::vector<std::string> living;
    for (const auto& [id, process] : world_.machine.processes) {
      const bool is_exec = process.of == plugins::Exit::Of::exec;
      if (!process.exit && !is_exec) living.push_back(id);
    }
    if (living.empty()) continue;
    const std::string id = world_.chance.one_of(living);
    const bool is_init = world_.machine.find(id)->of == plugins::Exit::Of::sandbox;
    if (is_init && world_.chance.percent(70)) continue;
    if (is_init) model_.init_ended(id);
    world_.machine.end(id, static_cast<int>(world_.chance.pick(256)));
  }
}

Task<void> Clients::remove_everything() {
  constexpr int kTries = 3;
  for (int i = 0; i < kTries && !node_.pods.sandboxes().empty(); ++i) {
    std::vector<std::string> ids;
    for (const auto& [id, sandbox] : node_.pods.sandboxes()) ids.push_back(id);
    for (const std::string& id : ids) {
      co_await stop_pod(id);
      co_await remove_pod(id);
    }
  }
}

}  // namespace berth::simulation
