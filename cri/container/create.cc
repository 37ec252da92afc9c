// SPDX-License-Identifier: Apache-2.0
// CRI: "CreateContainer creates a new container in specified PodSandbox." Everything that can be
// refused is refused here: image, user, command, profiles, volumes' fields, limits. Starting is
// then one launch.
//
// Repeated with the same metadata it gives the container that is there, or joins the running
// attempt. A crash between two steps leaves a record in CONTAINER_CREATING; the reconciler removes
// it.
#include "core/base/units.h"
#include "core/linux/capability.h"
#include "core/linux/openat2.h"
#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "core/task/with_undo.h"
#include "cri/container/calls.h"
#include "cri/container/capabilities.h"
#include "cri/container/cgroup_reach.h"
#include "cri/container/devices.h"
#include "cri/container/image_volumes.h"
#include "cri/container/log_file.h"
#include "cri/container/process.h"
#include "cri/container/spec.h"
#include "cri/container/stop_signal.h"
#include "cri/container/user.h"
#include "cri/container/validate.h"
#include "cri/field.h"
#include "cri/ids.h"
#include "cri/image/find.h"
#include "cri/sandbox/namespaces.h"
#include "cri/sandbox/validate.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Request = v1::CreateContainerRequest;

constexpr std::size_t kUserFileBytesMax = 1_MiB;

// A file of the image's; empty when it has none. What is there must be a regular file: the agent
// opens nothing else that an image carries.
Result<std::string> read_user_file(const UniqueFd& rootfs, const char* path) {
  Result<UniqueFd> file = sys::open_regular_in_root_if_exists(rootfs.get(), path);
  if (!file.ok()) return std::move(file).error().with("image");
  if (!file->valid()) return std::string();
  return sys::read_all(file->get(), kUserFileBytesMax, path);
}

// What an image says may be nonsense, and docker and CRI-O end such a container by SIGTERM.
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

Status resolve_process(Node& node, records::ContainerRecord& record, const oci::ImageConfig& image,
                       const UniqueFd& rootfs, const std::string& hostname) {
  const v1::ContainerConfig& config = record.config();
  TRY(std::vector<std::string> args, merge_args(image, config));
  for (std::string& word : args) record.add_args(std::move(word));
  UserFiles files;
  TRY(files.passwd, read_user_file(rootfs, "etc/passwd"));
  TRY(files.group, read_user_file(rootfs, "etc/group"));
  TRY(const oci::User user, resolve_user(image.user, config.linux().security_context(), files));
  record.set_uid(user.uid);
  record.set_gid(user.gid);
  for (const gid_t group : user.additional_gids) record.add_groups(group);
  const EnvironmentDefaults defaults{hostname, home_of(user.uid, files.passwd)};
  for (std::string& variable : merge_env(image, config, defaults)) {
    record.add_env(std::move(variable));
  }
  record.set_working_dir(merge_working_dir(image, config));
  record.set_stop_signal(stop_signal_of(node, image, record));
  return {};
}

Status write_intent(Node& node, const records::ContainerRecord& record) {
  return records::save(node.state, record);
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
                        const records::ContainerRecord& record,
                        std::vector<std::string> device_rules, AsyncUndo& undo) {
  const v1::LinuxContainerConfig& linux_config = record.config().linux();
  plugins::ContainerCgroup cgroup;
  cgroup.pod_id = record.sandbox_id();
  cgroup.container_id = record.id();
  cgroup.resources = co_await resources_of("config.linux.resources", linux_config.resources());
  cgroup.resources.pids_limit = node.options.pids_limit;
  cgroup.privileged = linux_config.security_context().privileged();
  cgroup.reach = co_await cgroup_reach_of(linux_config.security_context(),
                                          container->sandbox->namespaces.pid.valid());
  cgroup.devices = std::move(device_rules);
  undo.push([&node, pod = record.sandbox_id(), id = record.id()]() {
    return node.resources.cleanup(pod, id);
  });
  plugins::Placement placement = co_await node.resources.prepare(std::move(cgroup));
  container->placement.emplace(std::move(placement));
}

// What cannot be enforced or does not exist is refused before anything is made.
Status refuse_early(Node& node, const records::ContainerRecord& record) {
  const v1::LinuxContainerSecurityContext& security = record.config().linux().security_context();
  TRY_(check_profiles(security));
  // Compiled with the same capabilities as at the start, so that it is in the cache by then.
  TRY(const std::uint64_t available, sys::capability_permitted());
  TRY(const oci::Capabilities capabilities, capabilities_of(security, available));
  TRY([[maybe_unused]] const auto program,
      node.seccomp.program_of(security, capabilities.bounding));
  const v1::NamespaceOption& options = security.namespace_options();
  if (options.pid() != v1::NamespaceMode::TARGET) return {};
  TRY(const std::shared_ptr<Container> target,
      node.pods.need_container("config.linux.security_context.namespace_options.target_id",
                               options.target_id()));
  if (target->item.pod_sandbox_id() != record.sandbox_id() || !target->running()) {
    return invalid_field("config.linux.security_context.namespace_options.target_id",
                         "the target does not run in this sandbox");
  }
  return {};
}

Task<std::string> make_container(Node& node, const Request& request,
                                 std::shared_ptr<Sandbox> sandbox, AsyncUndo& undo) {
  auto stages = std::make_unique<Stages>("CreateContainer");
  stages->enter("image.resolve");
  const records::SandboxRecord pod = co_await records::load_sandbox(node.state, sandbox->id());
  const image::ImageEntry entry = co_await need_image(node, request.config().image().image());
  if (entry.image->is_artifact()) {
    co_await fail(Errc::invalid_argument, "config.image: `" + entry.image->id +
                                              "` is an artifact: there is nothing to run in it");
  }
  records::ContainerRecord record = new_record(request, entry, pod.config().log_directory());
  const std::string id = co_await make_id();
  record.set_id(id);
  co_await resolve_image_volumes(node, record);
  stages->enter("profile.check");
  co_await refuse_early(node, record);
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  ContainerDevices devices = co_await with_deadline(
      node.ring, deadline, find_devices(node.device_threads, record.config()));

  stages->enter("state.intent");
  co_await write_intent(node, record);
  const std::shared_ptr<Container> container = container_of(record, sandbox);
  node.pods.add(container);
  undo.push([&node, container]() { return remove_container_now(node, container); });

  stages->enter("snapshot.prepare");
  std::vector<plugins::SnapshotMount> mounts =
      co_await node.snapshotter.prepare(id, record.parent_snapshot());
  static_cast<void>(mounts);
  if (record.image_volumes_size() > 0) {
    stages->enter("image_volumes.prepare");
    co_await prepare_image_volumes(node, record);
  }
  stages->enter("rootfs.mount+cgroup.prepare");
  Task<UniqueFd> mounted = mount_rootfs(node, id);
  Task<void> entered = enter_cgroup(node, container, record, std::move(devices.rules), undo);
  auto outcomes = co_await both(std::move(mounted), std::move(entered));
  auto& [rootfs, cgroup] = outcomes;
  container->rootfs = co_await std::move(rootfs);
  co_await std::move(cgroup);
  stages->enter("process.resolve");
  co_await resolve_process(node, record, entry.image->config.config, container->rootfs,
                           hostname_of(pod.config()));

  stages->enter("state.commit");
  record.set_phase(state::v1::CONTAINER_CREATED);
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_CREATED;
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
