// SPDX-License-Identifier: Apache-2.0
// CRI: "StartContainer starts the container." The log file exists when this returns. A container
// that cannot be started is EXITED with the step and the errno in its message, and the call says
// the same.
//
// Repeated for a container that runs it is fine: a client whose call timed out asks again.
#include <fcntl.h>

#include "core/base/units.h"
#include "core/linux/capability.h"
#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "cri/container/calls.h"
#include "cri/container/devices.h"
#include "cri/container/image_volumes.h"
#include "cri/container/log_file.h"
#include "cri/container/spec.h"
#include "cri/sandbox/files.h"
#include "cri/sandbox/namespaces.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// What runc's callers show for a process that never was: 128, "StartError".
constexpr int kExitCodeStartError = 128;

Task<MountPlan> open_mounts(Node& node, std::shared_ptr<Container> container,
                            const records::ContainerRecord& record,
                            const records::SandboxRecord& pod) {
  PodFiles files = co_await find_pod_files(node, *container->sandbox, pod);
  std::vector<plugins::CgroupView> views =
      co_await node.resources.views(container->item.pod_sandbox_id(), container->id());
  sys::UniqueMount view_root = co_await node.cgroup_view.with(views);
  const bool privileged = record.config().linux().security_context().privileged();
  co_await check_propagation(record.config(), privileged);
  ImageTrees images = co_await mount_image_volumes(node, record);
  HostTrees hosts = co_await node.volumes.open(record.config());
  MountWish wish{
      .config = record.config(),
      .privileged = privileged,
      .cgroup_v2 = node.resources.name() == "cgroup2",
      .cgroup_views = std::move(views),
      .cgroup_view_root = std::move(view_root),
      .host_shm = !NamespaceWish::of(pod.config()).ipc,
      .images = &images,
      .hosts = &hosts,
      .pod = std::move(files),
  };
  MountPlan plan = co_await plan_mounts(std::move(wish));
  co_return plan;
}

Task<UniqueFd> open_log_of(Node& node, const records::ContainerRecord& record,
                           const records::SandboxRecord& pod) {
  if (record.log_path().empty()) co_return UniqueFd();
  UniqueFd log =
      co_await open_log(node.log_threads, pod.config().log_directory(), record.config().log_path());
  co_return log;
}

// The PID namespace of the container that a debug container looks at.
Result<UniqueFd> target_pid_namespace(const Node& node, const records::ContainerRecord& record) {
  const v1::NamespaceOption& options =
      record.config().linux().security_context().namespace_options();
  if (options.pid() != v1::NamespaceMode::TARGET) return UniqueFd();
  const std::shared_ptr<Container> target = node.pods.container(options.target_id());
  if (target == nullptr || !target->running()) {
    return make_error(Errc::failed_precondition,
                      "the target container `" + options.target_id() + "` does not run");
  }
  return sys::open_namespace_of(target->pid, target->pidfd.get(), "pid");
}

Task<plugins::Launched> launch(Node& node, std::shared_ptr<Container> container,
                               const records::ContainerRecord& record,
                               const records::SandboxRecord& pod, Stages& stages) {
  plugins::LaunchRequest request;
  request.container_id = container->id();
  stages.enter("rootfs.mount");
  request.rootfs = std::move(container->rootfs);
  if (!request.rootfs.valid()) request.rootfs = co_await mount_rootfs(node, container->id());
  stages.enter("log.open+mounts.open");
  Task<UniqueFd> log = open_log_of(node, record, pod);
  Task<MountPlan> mounts = open_mounts(node, container, record, pod);
  auto opened = co_await both(std::move(log), std::move(mounts));
  auto& [of_log, of_mounts] = opened;
  MountPlan plan = co_await std::move(of_mounts);
  request.stdio.log_file = co_await std::move(of_log);
  stages.enter("spec.build");
  co_await check_complete(pod.id(), container->sandbox->namespaces,
                          NamespaceWish::of(pod.config()));
  UniqueFd target = co_await target_pid_namespace(node, record);
  const std::uint64_t available = co_await sys::capability_permitted();
  const SpecWish wish{.record = record,
                      .namespaces = container->sandbox->namespaces,
                      .target_pid_namespace = target.get(),
                      .available_capabilities = available,
                      .seccomp = node.seccomp};
  request.spec = co_await spec_of(wish);
  request.spec.mounts = std::move(plan.mounts);
  ContainerDevices devices = co_await find_devices(node.device_threads, record.config());
  request.spec.devices = std::move(devices.nodes);
  request.owned_fds = std::move(plan.owned_fds);
  if (target.valid()) request.owned_fds.push_back(std::move(target));
  stages.enter("cgroup.placement");
  if (container->placement) {
    request.placement = std::move(*container->placement);
    container->placement.reset();
  } else {
    request.placement =
        co_await node.resources.placement(container->item.pod_sandbox_id(), container->id());
  }
  request.stdio.open_stdin = record.config().stdin();
  request.stdio.stdin_once = record.config().stdin_once();
  stages.enter("keeper.launch");
  plugins::Launched launched = co_await node.handler.launch(std::move(request));
  co_return launched;
}

Task<void> note_failure(Node& node, std::shared_ptr<Container> container,
                        records::ContainerRecord& record, const Error& error) {
  record.set_phase(state::v1::CONTAINER_EXITED);
  record.set_exit_code(kExitCodeStartError);
  record.set_reason("StartError");
  record.set_message(error.message());
  record.set_started_at(0);
  record.set_finished_at(realtime_now_ns());
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_EXITED;
  container->ended.set();
}

Task<void> start_made(Node& node, std::shared_ptr<Container> container) {
  container->start_stages = std::make_unique<Stages>("StartContainer");
  Stages& stages = *container->start_stages;
  stages.enter("state.load");
  records::ContainerRecord record = co_await records::load_container(node.state, container->id());
  const records::SandboxRecord pod =
      co_await records::load_sandbox(node.state, container->item.pod_sandbox_id());
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  Result<plugins::Launched> launched =
      co_await with_deadline(node.ring, deadline, launch(node, container, record, pod, stages))
          .result();
  if (!launched.ok()) {
    // Cancelled is what the agent is when it ends, not the container: the record stays as it was,
    // and should the keeper have made a process of it, the next agent finds that.
    if (!launched.error().is(Errc::cancelled)) {
      co_await note_failure(node, container, record, launched.error());
    }
    stages.done();
    co_await fail(std::move(launched).error().with("start container `" +
                                                   container->item.metadata().name() + "`"));
  }
  stages.enter("state.commit");
  record.set_phase(state::v1::CONTAINER_RUNNING);
  record.set_pid(launched->pid);
  record.set_started_at(launched->started_at_ns);
  Status saved = records::save(node.state, record);
  // Nothing runs that is not on record. What is left of it goes with the container.
  if (!saved.ok()) co_await kill_container(node, container);
  co_await std::move(saved);
  container->phase = state::v1::CONTAINER_RUNNING;
  container->pid = launched->pid;
  container->pidfd = std::move(launched->pidfd);
  stages.done();
  if (container->early_exit) {
    plugins::Exit exit = std::move(*container->early_exit);
    container->early_exit.reset();
    co_await note_end(node, container, std::move(exit));
  }
}

}  // namespace

Task<v1::StartContainerResponse> start_container(Node& node,
                                                 const v1::StartContainerRequest& request) {
  const std::shared_ptr<Container> container =
      co_await node.pods.need_container("container_id", request.container_id());
  const Mutex::Guard guard = co_await container->sandbox->lock.lock();
  if (container->running()) co_return v1::StartContainerResponse();
  if (container->phase != state::v1::CONTAINER_CREATED) {
    co_await fail(Errc::failed_precondition, "container_id: container `" + container->id() +
                                                 "` is in state " +
                                                 v1::ContainerState_Name(state_of(*container)));
  }
  if (!container->sandbox->ready()) {
    co_await fail(Errc::failed_precondition,
                  "sandbox `" + container->sandbox->id() + "` is not ready");
  }
  co_await start_made(node, container);
  co_return v1::StartContainerResponse();
}

}  // namespace berth::cri
