// SPDX-License-Identifier: Apache-2.0
// CRI: "RunPodSandbox creates and starts a pod-level sandbox. Runtimes must ensure the sandbox is
// in the ready state on success."
//
// Repeated with the same metadata it gives the sandbox that is there, or joins the attempt that is
// running: a kubelet whose first call timed out gets that call's result, and no name stays
// reserved. The attempt belongs to the agent, not to the client that began it.
//
// A crash between two steps leaves a record in SANDBOX_CREATING; the reconciler removes such a
// sandbox at the next start.
#include <memory>
#include <utility>

#include "core/base/units.h"
#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "core/task/with_undo.h"
#include "cri/ids.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/files.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/network.h"
#include "cri/sandbox/resolve.h"
#include "cri/spec/sysctl.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Request = v1::RunPodSandboxRequest;

// As containerd's and CRI-O's infrastructure process; clamped by the launcher where lowering is not
// permitted.
constexpr int kInitOomScoreAdj = -998;

records::SandboxRecord new_record(const Handler& handler, const Networks& networks, std::string id,
                                  const Request& request) {
  records::SandboxRecord record;
  record.set_id(std::move(id));
  record.set_phase(state::v1::SANDBOX_CREATING);
  *record.mutable_config() = request.config();
  record.set_runtime_handler(handler.name);
  record.set_created_at(realtime_now_ns());
  record.set_network(namespaces_of(request.config()).network
                         ? std::string(handler.network(networks).name())
                         : kHostNetwork);
  return record;
}

// The record gets the result.
Task<plugins::NetworkAttachment> attach_network(Node& node, records::SandboxRecord& record,
                                                AsyncUndo& undo) {
  plugins::Network* const network = co_await node.networks.find(record.network());
  const plugins::NetworkStatus status = network->status();
  if (!status.ready) {
    co_await fail(Errc::unavailable,
                  "network " + std::string(network->name()) + " is not ready: " + status.message);
  }
  const Deadline deadline = Deadline::after_ms(node.options.network_ms_max);
  // Without a result until attach has given one.
  const auto pod = std::make_shared<plugins::NetworkPod>(network_pod(record));
  undo.push([network, pod]() { return network->detach(std::move(*pod)); });
  plugins::NetworkAttachment attached =
      co_await with_deadline(node.ring, deadline, network->attach(pod->request));
  pod->result = attached.result;
  co_await set_network_result(record, std::move(attached.result));
  co_return attached;
}

Task<void> enter_cgroup(Node& node, const records::SandboxRecord& record,
                        plugins::Resources resources, AsyncUndo& undo) {
  plugins::PodCgroup cgroup;
  cgroup.pod_id = record.id();
  cgroup.cgroup_parent = record.config().linux().cgroup_parent();
  cgroup.resources = std::move(resources);
  undo.push([&node, id = record.id()]() { return node.resources.cleanup_pod(id); });
  co_await node.resources.prepare_pod(std::move(cgroup));
}

// A handler names the path of a kernel parameter that it cannot set; the client knows the parameter
// by the field of its request.
Error name_sysctl(Error error, const v1::PodSandboxConfig& config) {
  for (const auto& [name, value] : config.linux().sysctls()) {
    const std::string field = "config.linux.sysctls[" + name + "]";
    const Result<std::string> path = sysctl_path(field, name, namespaces_of(config));
    if (path.ok() && error.subject == "/proc/sys/" + path.value()) {
      return std::move(error).with(field);
    }
  }
  return error;
}

Task<void> start_sandbox(Node& node, Sandbox& sandbox, plugins::RuntimeHandler& runtime,
                         plugins::SandboxRequest request, const records::SandboxRecord& record) {
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  Result<plugins::SandboxStatus> status =
      co_await with_deadline(node.ring, deadline, runtime.start_sandbox(std::move(request)))
          .result();
  if (!status.ok()) co_await fail(name_sysctl(std::move(status).error(), record.config()));
  if (status->kept.size() != 1) {
    co_await fail(Errc::internal, "the runtime handler did not keep the pod's tmpfs");
  }
  sandbox.tmpfs = std::move(status->kept.front());
}

plugins::SandboxRequest request_of(const records::SandboxRecord& record,
                                   std::map<std::string, std::string> sysctl,
                                   plugins::NetworkAttachment attached, UniqueFd tmpfs) {
  const v1::PodSandboxConfig& config = record.config();
  plugins::SandboxRequest request;
  request.sandbox_id = record.id();
  request.namespaces = namespaces_of(config);
  request.netns = std::move(attached.netns);
  request.ipc = std::move(attached.ipc);
  request.uts = std::move(attached.uts);
  request.hostname = hostname_of(config);
  request.sysctl = std::move(sysctl);
  request.oom_score_adj = kInitOomScoreAdj;
  request.kept.push_back(std::move(tmpfs));
  return request;
}

Task<std::string> make_sandbox(Node& node, const Handler& handler, const Request& request,
                               ResolvedSandbox& resolved, AsyncUndo& undo) {
  std::string id = co_await make_id();
  records::SandboxRecord record = new_record(handler, node.networks, std::move(id), request);
  const std::shared_ptr<Sandbox> sandbox = new_sandbox(record);
  sandbox->run_stages = std::make_unique<Stages>("RunPodSandbox");
  Stages& stages = *sandbox->run_stages;

  // On record before the first kernel object exists.
  stages.enter("state.intent");
  co_await records::save(node.state, record);
  node.pods.add(sandbox);
  undo.push([&node, sandbox]() -> Task<void> {
    node.pods.remove(*sandbox);
    co_await records::erase_sandbox(node.state, sandbox->id());
  });

  stages.enter("network.attach");
  plugins::NetworkAttachment attached = co_await attach_network(node, record, undo);
  stages.add_steps(attached.steps);
  stages.enter("files.make");
  UniqueFd tmpfs = co_await node.sandbox_files.make(record);
  plugins::SandboxRequest wanted =
      request_of(record, std::move(resolved.sysctl), std::move(attached), std::move(tmpfs));
  plugins::RuntimeHandler& runtime = *handler.runtime;
  const auto undo_start = [&runtime, id = sandbox->id()]() { return runtime.stop_sandbox(id); };
  if (sandbox->namespaces.pid) {
    // The init starts in the pod's cgroup.
    stages.enter("cgroup.prepare");
    co_await enter_cgroup(node, record, std::move(resolved.resources), undo);
    wanted.placement = co_await node.resources.pod_placement(sandbox->id());
    stages.enter("handler.start");
    undo.push(undo_start);
    co_await start_sandbox(node, *sandbox, runtime, std::move(wanted), record);
  } else {
    stages.enter("handler.start+cgroup.prepare");
    undo.push(undo_start);
    Task<void> started = start_sandbox(node, *sandbox, runtime, std::move(wanted), record);
    Task<void> prepared = enter_cgroup(node, record, std::move(resolved.resources), undo);
    auto outcomes = co_await both(std::move(started), std::move(prepared));
    auto& [of_start, of_prepare] = outcomes;
    co_await std::move(of_start);
    co_await std::move(of_prepare);
  }

  // From here to READY nothing is awaited: a later end finds the sandbox ready and stops it.
  if (sandbox->broken) co_await fail(Errc::unavailable, "the sandbox's init ended at its start");
  stages.enter("state.commit");
  record.set_phase(state::v1::SANDBOX_READY);
  co_await records::save(node.state, record);
  sandbox->phase = state::v1::SANDBOX_READY;
  stages.done();
  co_return sandbox->id();
}

Task<std::string> attempt(Node& node, const Handler& handler, Request request,
                          ResolvedSandbox resolved, std::string name) {
  const auto body = [&node, &handler, &request, &resolved](AsyncUndo& undo) {
    return make_sandbox(node, handler, request, resolved, undo);
  };
  Task<std::string> work = with_undo(body);
  Result<std::string> outcome = co_await std::move(work).result();
  node.pods.attempts.erase(name);
  co_return outcome;
}

}  // namespace

Task<v1::RunPodSandboxResponse> run_pod_sandbox(Node& node, const Request& request) {
  ResolvedSandbox resolved = co_await resolve(request);
  const Handler* const handler = co_await node.handlers.find(request.runtime_handler());
  const std::string name = Pods::name_of(request.config().metadata());
  v1::RunPodSandboxResponse response;
  Attempt running;
  const auto joined = node.pods.attempts.find(name);
  if (joined != node.pods.attempts.end()) {
    running = joined->second;
  } else {
    const std::shared_ptr<Sandbox> present = node.pods.sandbox_by_name(name);
    if (present != nullptr) {
      if (!present->ready()) {
        co_await fail(Errc::already_exists, "config.metadata: sandbox `" + present->id() +
                                                "` of this name and attempt is stopped");
      }
      response.set_pod_sandbox_id(present->id());
      co_return response;
    }
    running = Shared<std::string>::start(
        node.attempts, attempt(node, *handler, request, std::move(resolved), name));
    node.pods.attempts[name] = running;
  }
  std::string id = co_await running->wait();
  response.set_pod_sandbox_id(std::move(id));
  co_return response;
}

}  // namespace berth::cri
