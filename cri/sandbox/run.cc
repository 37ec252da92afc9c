// SPDX-License-Identifier: Apache-2.0
// CRI: "RunPodSandbox creates and starts a pod-level sandbox. Runtimes must ensure the sandbox is
// in the ready state on success."
//
// Repeated with the same metadata it gives the sandbox that is there, or joins the attempt that is
// running: a kubelet whose first call timed out gets that call's result, and no name stays
// reserved. The attempt belongs to the agent, not to the client that began it.
//
// A crash between two steps leaves a record in SANDBOX_CREATING; the reconciler takes such a sandbox
// apart at the next start.
#include <utility>

#include "core/base/units.h"
#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "core/task/with_undo.h"
#include "cri/ids.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/files.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/pod_init.h"
#include "cri/sandbox/validate.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Request = v1::RunPodSandboxRequest;

records::SandboxRecord new_record(const Node& node, std::string id, const Request& request) {
  records::SandboxRecord record;
  record.set_id(std::move(id));
  record.set_phase(state::v1::SANDBOX_CREATING);
  *record.mutable_config() = request.config();
  record.set_runtime_handler(request.runtime_handler());
  record.set_created_at(realtime_now_ns());
  record.set_network(NamespaceWish::of(request.config()).net
                         ? std::string(node.pod_network.name())
                         : std::string(node.host_network.name()));
  return record;
}

// The intent is on record before the first kernel object exists.
Status write_intent(Node& node, const records::SandboxRecord& record) {
  return records::save(node.state, record);
}

Status erase_intent(Node& node, const std::string& id) {
  TRY([[maybe_unused]] const bool was_there, node.state.erase(records::kSandboxes, id));
  return {};
}

Task<void> attach_network(Node& node, Sandbox& sandbox, const Request& request,
                          records::SandboxRecord& record, AsyncUndo& undo) {
  plugins::Network& network = network_of(node, request.config());
  const plugins::NetworkStatus status = network.status();
  if (!status.ready) {
    co_await fail(Errc::unavailable,
                  "network " + std::string(network.name()) + " is not ready: " + status.message);
  }
  const v1::PodSandboxMetadata& metadata = request.config().metadata();
  plugins::NetworkRequest wanted;
  wanted.pod_id = sandbox.id();
  wanted.pod_name = metadata.name();
  wanted.pod_namespace = metadata.namespace_();
  wanted.pod_uid = metadata.uid();
  wanted.port_mappings = co_await port_mappings_of(request.config());
  const Deadline deadline = Deadline::after_ms(node.options.network_ms_max);
  undo.push([&network, id = sandbox.id()]() { return network.detach(id); });
  plugins::NetworkAttachment attached =
      co_await with_deadline(node.ring, deadline, network.attach(std::move(wanted)));
  sandbox.namespaces.net = std::move(attached.netns);
  for (const std::string& ip : attached.ips) record.add_ips(ip);
}

Task<void> take_namespaces(Node& node, Sandbox& sandbox, const records::SandboxRecord& record) {
  const v1::PodSandboxConfig& config = record.config();
  const NamespaceWish wish = NamespaceWish::of(config);
  if (wish.ipc || wish.uts) {
    sys::NamespaceSet set = co_await node.ipc_uts.take();
    if (wish.ipc) sandbox.namespaces.ipc = std::move(set.ipc);
    if (wish.uts) sandbox.namespaces.uts = std::move(set.uts);
  }
  sandbox.namespaces.tmpfs = co_await make_pod_tmpfs(record);
  co_await configure_namespaces(node, sandbox.namespaces, config);
}

Task<void> enter_cgroup(Node& node, const Sandbox& sandbox, const v1::PodSandboxConfig& config,
                        AsyncUndo& undo) {
  plugins::PodCgroup cgroup;
  cgroup.pod_id = sandbox.id();
  cgroup.cgroup_parent = config.linux().cgroup_parent();
  cgroup.resources = co_await resources_of("config.linux.resources", config.linux().resources());
  undo.push([&node, id = sandbox.id()]() { return node.resources.cleanup_pod(id); });
  co_await node.resources.prepare_pod(std::move(cgroup));
}

Task<std::string> make_sandbox(Node& node, const Request& request, AsyncUndo& undo) {
  std::string id = co_await make_id();
  records::SandboxRecord record = new_record(node, std::move(id), request);
  const std::shared_ptr<Sandbox> sandbox = sandbox_of(record);
  sandbox->run_stages = std::make_unique<Stages>("RunPodSandbox");
  Stages& stages = *sandbox->run_stages;

  stages.enter("state.intent");
  co_await write_intent(node, record);
  node.pods.add(sandbox);
  undo.push([&node, sandbox]() -> Task<void> {
    node.pods.remove(*sandbox);
    co_await erase_intent(node, sandbox->id());
  });

  stages.enter("network.attach");
  co_await attach_network(node, *sandbox, request, record, undo);
  stages.enter("namespaces");
  co_await take_namespaces(node, *sandbox, record);
  const bool has_init = NamespaceWish::of(request.config()).shared_pid;
  if (has_init) {
    stages.enter("cgroup.prepare");
    co_await enter_cgroup(node, *sandbox, request.config(), undo);
    stages.enter("init.start");
    undo.push([&node, id = sandbox->id()]() { return end_pod_init(node, id); });
    co_await start_pod_init(node, *sandbox);
    record.set_init_pid(sandbox->init_pid);
  }
  stages.enter(has_init ? "keeper.hold" : "keeper.hold+cgroup.prepare");
  undo.push([&node, id = sandbox->id()]() { return drop_namespaces(node, id); });
  Task<void> held = hold_namespaces(node, sandbox->id(), sandbox->namespaces);
  if (has_init) {
    co_await std::move(held);
  } else {
    Task<void> prepared = enter_cgroup(node, *sandbox, request.config(), undo);
    auto outcomes = co_await both(std::move(held), std::move(prepared));
    auto& [of_hold, of_prepare] = outcomes;
    co_await std::move(of_hold);
    co_await std::move(of_prepare);
  }

  stages.enter("state.commit");
  record.set_phase(state::v1::SANDBOX_READY);
  co_await records::save(node.state, record);
  sandbox->phase = state::v1::SANDBOX_READY;
  stages.done();
  co_return sandbox->id();
}

Task<std::string> attempt(Node& node, Request request, std::string name) {
  const auto body = [&node, &request](AsyncUndo& undo) {
    return make_sandbox(node, request, undo);
  };
  Task<std::string> work = with_undo(body);
  Result<std::string> outcome = co_await std::move(work).result();
  node.pods.attempts.erase(name);
  co_return outcome;
}

}  // namespace

plugins::Network& network_of(Node& node, const v1::PodSandboxConfig& config) {
  return NamespaceWish::of(config).net ? node.pod_network : node.host_network;
}

Task<v1::RunPodSandboxResponse> run_pod_sandbox(Node& node, const Request& request) {
  co_await validate(request);
  if (!request.runtime_handler().empty() && request.runtime_handler() != node.handler.name()) {
    co_await fail(Errc::not_found,
                  "runtime_handler: no handler `" + request.runtime_handler() + "` is configured");
  }
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
    running = Shared<std::string>::start(node.attempts, attempt(node, request, name));
    node.pods.attempts[name] = running;
  }
  std::string id = co_await running->wait();
  response.set_pod_sandbox_id(std::move(id));
  co_return response;
}

}  // namespace berth::cri
