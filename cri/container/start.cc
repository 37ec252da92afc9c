// SPDX-License-Identifier: Apache-2.0
// CRI: "StartContainer starts the container." The log file exists when this returns. A container
// that cannot be started is EXITED with the step and the errno in its message, and the call says
// the same.
//
// Repeated for a container that runs it is fine: a client whose call timed out asks again.
#include "core/base/units.h"
#include "core/ring/with_deadline.h"
#include "core/task/both.h"
#include "cri/container/calls.h"
#include "cri/container/sources.h"
#include "cri/container/stored_spec.h"
#include "cri/spec/mounts.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

// As other CRI runtimes report a process that was never started: 128, "StartError".
constexpr int kExitCodeStartError = 128;

// Takes what CreateContainer left, or loads it again after a restart of the agent.
Task<Prepared> take_prepared(Node& node, std::shared_ptr<Container> container) {
  if (container->prepared != nullptr) {
    const std::unique_ptr<Prepared> prepared = std::move(container->prepared);
    co_return std::move(*prepared);
  }
  Prepared loaded;
  loaded.record = co_await records::load_container(node.state, container->id());
  loaded.pod = co_await records::load_sandbox(node.state, container->item.pod_sandbox_id());
  co_return loaded;
}

Task<UniqueFd> open_rootfs(Node& node, std::shared_ptr<Container> container) {
  if (container->rootfs.valid()) co_return std::move(container->rootfs);
  // The agent was restarted after Create.
  std::vector<plugins::SnapshotMount> mounts = co_await node.snapshotter.mounts(container->id());
  UniqueFd rootfs = co_await node.sources.open_rootfs(node, std::move(mounts));
  co_return rootfs;
}

Task<UniqueFd> open_log_of(Node& node, const records::ContainerRecord& record,
                           const records::SandboxRecord& pod) {
  if (record.log_path().empty()) co_return UniqueFd();
  UniqueFd log =
      co_await node.sources.open_log(pod.config().log_directory(), record.config().log_path());
  co_return log;
}

Task<plugins::Placement> placement_of(Node& node, std::shared_ptr<Container> container) {
  if (container->placement) {
    plugins::Placement placement = std::move(*container->placement);
    container->placement.reset();
    co_return placement;
  }
  plugins::Placement placement =
      co_await node.resources.placement(container->item.pod_sandbox_id(), container->id());
  co_return placement;
}

Task<oci::Spec> spec_of(Node& node, std::shared_ptr<Container> container, Prepared& prepared) {
  if (prepared.spec) co_return *std::move(prepared.spec);
  oci::Spec spec = co_await load_spec(node, container, prepared.record);
  co_return spec;
}

Task<plugins::Started> launch(Node& node, std::shared_ptr<Container> container, Prepared& prepared,
                              Stages& stages) {
  const records::ContainerRecord& record = prepared.record;
  const records::SandboxRecord& pod = prepared.pod;
  plugins::RuntimeHandler* const runtime =
      co_await node.handlers.runtime(container->sandbox->handler());
  stages.enter("spec.load");
  co_await check_propagation(record.config());
  plugins::StartRequest request;
  request.sandbox_id = container->item.pod_sandbox_id();
  request.container_id = container->id();
  request.spec = co_await spec_of(node, container, prepared);
  stages.enter("rootfs.mount");
  request.rootfs = co_await open_rootfs(node, container);
  stages.enter("log.open+mounts.open");
  Task<UniqueFd> log = open_log_of(node, record, pod);
  Task<OpenedMounts> mounts = node.sources.open_mounts(node, *container->sandbox, pod, record,
                                                       std::move(request.spec.mounts));
  auto opened = co_await both(std::move(log), std::move(mounts));
  auto& [of_log, of_mounts] = opened;
  OpenedMounts sources = co_await std::move(of_mounts);
  request.spec.mounts = std::move(sources.mounts);
  request.mounts = std::move(sources.trees);
  request.stdio.log_file = co_await std::move(of_log);
  request.stdio.open_stdin = record.config().stdin();
  request.stdio.stdin_once = record.config().stdin_once();
  stages.enter("cgroup.placement");
  request.placement = co_await placement_of(node, container);
  stages.enter("handler.start");
  plugins::Started started = co_await runtime->start(std::move(request));
  stages.add_steps(started.stages);
  co_return started;
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
  Prepared prepared = co_await take_prepared(node, container);
  records::ContainerRecord& record = prepared.record;
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  Result<plugins::Started> started =
      co_await with_deadline(node.ring, deadline, launch(node, container, prepared, stages))
          .result();
  if (!started.ok()) {
    // Cancelled: the agent ends. The record stays as it was; if the handler has made the process,
    // the next agent finds it.
    if (!started.error().is(Errc::cancelled)) {
      // The handler may have made the process and its answer been lost.
      Result<void> killed = co_await kill_container(node, container).result();
      static_cast<void>(killed);
      co_await note_failure(node, container, record, started.error());
    }
    stages.done();
    co_await fail(std::move(started).error().with("start container `" +
                                                  container->item.metadata().name() + "`"));
  }
  stages.enter("state.commit");
  record.set_phase(state::v1::CONTAINER_RUNNING);
  record.set_pid(started->pid);
  record.set_started_at(started->started_at_ns);
  Status saved = records::save(node.state, record);
  // A container that is not on record does not run. Its parts are removed with it.
  if (!saved.ok()) co_await kill_container(node, container);
  co_await std::move(saved);
  container->phase = state::v1::CONTAINER_RUNNING;
  container->pid = started->pid;
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
