// SPDX-License-Identifier: Apache-2.0
// CRI: "CreateContainer creates a new container in specified PodSandbox." Everything that can be
// refused is refused here: image, user, command, profiles, volumes' fields, limits. Starting is
// then one launch.
//
// Repeated with the same metadata it gives the container that is there, or joins the running
// attempt. A crash between two steps leaves a record in CONTAINER_CREATING; the reconciler removes
// it.
#include <unistd.h>

#include "core/task/both.h"
#include "core/task/with_undo.h"
#include "cri/container/calls.h"
#include "cri/container/image_volumes.h"
#include "cri/container/log_file.h"
#include "cri/container/sources.h"
#include "cri/container/stored_spec.h"
#include "cri/container/validate.h"
#include "cri/field.h"
#include "cri/ids.h"
#include "cri/image/find.h"
#include "cri/sandbox/namespaces.h"
#include "cri/spec/cgroup_reach.h"
#include "cri/spec/resources.h"
#include "cri/spec/spec.h"
#include "cri/spec/stop_signal.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Request = v1::CreateContainerRequest;

// An image may have an unknown signal. docker and CRI-O end such a container by SIGTERM.
std::string stop_signal_of(Node& node, const oci::ImageConfig& image,
                           const records::ContainerRecord& record) {
  const v1::Signal wanted = record.config().stop_signal();
  if (wanted != v1::Signal::SIGNAL_RUNTIME_DEFAULT) {
    return v1::Signal_Name(wanted).substr(sizeof "SIGNAL_" - 1);
  }
  if (image.stop_signal.empty()) return {};
  const std::optional<int> number = signal_number(image.stop_signal);
  if (number) return signal_name(*number);
  node.log.warn("container", record.id() + ": the image's StopSignal `" + shown(image.stop_signal) +
                                 "` is no signal, SIGTERM is sent");
  return {};
}

records::ContainerRecord new_record(const Request& request, const image::ImageEntry& entry,
                                    const std::string& log_directory) {
  const v1::ContainerConfig& config = request.config();
  records::ContainerRecord record;
  record.set_sandbox_id(request.pod_sandbox_id());
  record.set_phase(state::v1::CONTAINER_CREATING);
  *record.mutable_config() = config;
  record.set_image_id(entry.image->id);
  record.set_image_ref(entry.repo_digests.empty() ? entry.image->id : entry.repo_digests.front());
  if (!entry.image->chain_ids.empty()) record.set_parent_snapshot(entry.image->chain_ids.back());
  record.set_created_at(realtime_now_ns());
  record.set_log_path(log_path_of(log_directory, config.log_path()));
  return record;
}

Task<void> enter_cgroup(Node& node, std::shared_ptr<Container> container,
                        const records::ContainerRecord& record, const oci::Spec& spec,
                        AsyncUndo& undo) {
  plugins::ContainerCgroup cgroup = cgroup_of(spec.linux.resources);
  cgroup.pod_id = record.sandbox_id();
  cgroup.container_id = record.id();
  cgroup.reach =
      cgroup_reach_of(record.config().linux().security_context(),
                      spec.process.capabilities.bounding, container->sandbox->namespaces.pid);
  undo.push([&node, pod = record.sandbox_id(), id = record.id()]() {
    return node.resources.cleanup(pod, id);
  });
  plugins::Placement placement = co_await node.resources.prepare(std::move(cgroup));
  container->placement.emplace(std::move(placement));
}

// Refuses before anything is made.
Status check_security(Node& node, const records::ContainerRecord& record) {
  const v1::LinuxContainerSecurityContext& security = record.config().linux().security_context();
  const bool has_apparmor = ::access("/sys/kernel/security/apparmor", F_OK) == 0;
  TRY_(check_apparmor(security, has_apparmor));
  const v1::NamespaceOption& options = security.namespace_options();
  if (options.pid() != v1::NamespaceMode::TARGET) return {};
  constexpr const char* kField = "config.linux.security_context.namespace_options.target_id";
  TRY(const std::shared_ptr<Container> target,
      node.pods.need_container(kField, options.target_id()));
  if (target->item.pod_sandbox_id() != record.sandbox_id() || !target->running()) {
    return invalid_field(kField, "the target does not run in this sandbox");
  }
  return {};
}

// The root filesystem is mounted, the process is resolved with its user files, and the handler has
// no objection.
Task<void> complete_spec(Node& node, const Container& container, const oci::ImageConfig& image,
                         const std::string& hostname, const records::ContainerRecord& record,
                         oci::Spec& spec) {
  const UserFiles files = co_await node.sources.read_user_files(container.rootfs);
  const ProcessInput input{
      .config = record.config(), .image = image, .files = files, .hostname = hostname};
  co_await resolve_process(spec.process, input);
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container.sandbox->handler());
  co_await runtime->check(spec);
}

Task<std::string> make_container(Node& node, const Request& request,
                                 std::shared_ptr<Sandbox> sandbox, AsyncUndo& undo) {
  auto stages = std::make_unique<Stages>("CreateContainer");
  stages->enter("image.resolve");
  records::SandboxRecord pod = co_await records::load_sandbox(node.state, sandbox->id());
  const image::ImageEntry entry = co_await need_image(node, request.config().image().image());
  if (entry.image->is_artifact()) {
    co_await fail(Errc::invalid_argument, "config.image: `" + entry.image->id +
                                              "` is an artifact: there is nothing to run in it");
  }
  records::ContainerRecord record = new_record(request, entry, pod.config().log_directory());
  const std::string id = co_await make_id();
  record.set_id(id);
  co_await resolve_image_volumes(node, record);
  stages->enter("spec.resolve");
  co_await check_security(node, record);
  const std::shared_ptr<Container> container = new_container(record, sandbox);
  oci::Spec spec = co_await resolve_spec(node, container, record);

  stages->enter("state.intent");
  co_await records::save(node.state, record);
  node.pods.add(container);
  undo.push([&node, container]() { return remove_container_now(node, container); });

  stages->enter("snapshot.prepare");
  std::vector<plugins::SnapshotMount> mounts =
      co_await node.snapshotter.prepare(id, record.parent_snapshot());
  if (record.image_volumes_size() > 0) {
    stages->enter("image_volumes.prepare");
    co_await prepare_image_volumes(node, record);
  }
  stages->enter("rootfs.mount+cgroup.prepare");
  Task<UniqueFd> mounted = node.sources.open_rootfs(node, std::move(mounts));
  Task<void> entered = enter_cgroup(node, container, record, spec, undo);
  auto outcomes = co_await both(std::move(mounted), std::move(entered));
  auto& [rootfs, cgroup] = outcomes;
  container->rootfs = co_await std::move(rootfs);
  co_await std::move(cgroup);
  stages->enter("process.resolve+handler.check");
  const oci::ImageConfig& image = entry.image->config.config;
  co_await complete_spec(node, *container, image, hostname_of(pod.config()), record, spec);
  record.set_stop_signal(stop_signal_of(node, image, record));

  stages->enter("state.commit");
  record.set_phase(state::v1::CONTAINER_CREATED);
  co_await store_spec(node, spec, record);
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_CREATED;
  container->prepared = std::make_unique<Prepared>();
  container->prepared->pod = std::move(pod);
  container->prepared->record = std::move(record);
  container->prepared->spec = std::move(spec);
  stages->done();
  container->create_stages = std::move(stages);
  co_return id;
}

Task<std::string> attempt(Node& node, Request request, std::shared_ptr<Sandbox> sandbox,
                          std::string name) {
  const auto body = [&node, &request, &sandbox](AsyncUndo& undo) {
    return make_container(node, request, sandbox, undo);
  };
  Result<Mutex::Guard> guard = co_await sandbox->lock.lock().result();
  Result<std::string> outcome = make_error(Errc::cancelled, "shutting down");
  if (guard.ok() && sandbox->ready()) {
    Task<std::string> work = with_undo(body);
    outcome = co_await std::move(work).result();
  } else if (guard.ok()) {
    outcome = make_error(Errc::failed_precondition,
                         "pod_sandbox_id: sandbox `" + sandbox->id() + "` is not ready");
  }
  node.pods.attempts.erase(name);
  co_return outcome;
}

}  // namespace

Task<v1::CreateContainerResponse> create_container(Node& node, const Request& request) {
  co_await validate(request);
  const std::shared_ptr<Sandbox> sandbox =
      co_await node.pods.need_sandbox("pod_sandbox_id", request.pod_sandbox_id());
  const std::string name = Pods::name_of(sandbox->id(), request.config().metadata());
  v1::CreateContainerResponse response;
  Attempt running;
  const auto joined = node.pods.attempts.find(name);
  if (joined != node.pods.attempts.end()) {
    running = joined->second;
  } else {
    const std::shared_ptr<Container> present = node.pods.container_by_name(name);
    if (present != nullptr && present->phase != state::v1::CONTAINER_REMOVING) {
      response.set_container_id(present->id());
      co_return response;
    }
    running = Shared<std::string>::start(node.attempts, attempt(node, request, sandbox, name));
    node.pods.attempts[name] = running;
  }
  std::string id = co_await running->wait();
  response.set_container_id(std::move(id));
  co_return response;
}

}  // namespace berth::cri
