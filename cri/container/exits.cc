// SPDX-License-Identifier: Apache-2.0
// The ends of processes: a runtime handler reports each one, the record keeps it, and the calls
// that wait for it go on.
#include "core/base/units.h"
#include "cri/container/calls.h"
#include "cri/sandbox/calls.h"

namespace berth::cri {

namespace {

// The reasons kubelet shows to people.
std::string reason_of(const plugins::Exit& exit, bool oom_killed) {
  if (oom_killed) return "OOMKilled";
  if (!exit.exit_code) return "ExitCodeUnknown";
  return *exit.exit_code == 0 ? "Completed" : "Error";
}

// The CRI has no exit code for "unknown". containerd and CRI-O write 255, too.
constexpr int kExitCodeUnknown = 255;

constexpr std::int64_t kAgainMs = 1'000;

// Repeats note_end while the store takes no writes: the kubelet must not see an ended container as
// running for ever.
Task<void> note_end_later(Node& node, std::shared_ptr<Container> container, plugins::Exit exit) {
  while (container->running()) {
    co_await node.ring.sleep_until(Deadline::after_ms(kAgainMs));
    if (!container->running()) co_return;
    Result<void> noted = co_await note_end(node, container, exit).result();
    if (noted.ok()) co_return;
  }
}

// The kernel killed every process of the PID namespace with its init, and no container can be
// started in it again: the kubelet must see that the sandbox is not ready, and makes another.
Task<void> stop_without_init(Node& node, std::shared_ptr<Sandbox> sandbox) {
  const Mutex::Guard guard = co_await sandbox->lock.lock();
  // A stop of the sandbox ends its init as well; a sandbox that is being made is taken apart by
  // RunPodSandbox.
  if (sandbox->phase != state::v1::SANDBOX_READY) co_return;
  node.log.warn("sandbox", sandbox->id() + " has lost its init: stopped");
  co_await stop_sandbox(node, sandbox);
}

Task<void> container_ended(Node& node, std::shared_ptr<Container> container, plugins::Exit exit) {
  // Reported again after a restart.
  if (container->phase == state::v1::CONTAINER_EXITED) co_return;
  if (!container->running()) {
    // StartContainer has not yet written the start to the record; it takes the exit from here.
    container->early_exit = std::move(exit);
    co_return;
  }
  Result<void> noted = co_await note_end(node, container, exit).result();
  if (noted.ok()) co_return;
  node.log.error("container",
                 "end of " + container->id() + " is not on record: " + noted.error().message());
  node.attempts.spawn(note_end_later(node, container, std::move(exit)));
}

void exec_ended(Node& node, const plugins::Exit& exit) {
  const auto exec = node.pods.execs.find(exit.id);
  if (exec == node.pods.execs.end()) return;  // its call has ended before
  exec->second->exit_code = exit.exit_code;
  exec->second->ended.set();
}

Task<void> process_ended(Node& node, plugins::RuntimeHandler& runtime, plugins::Exit exit) {
  if (exit.of == plugins::Exit::Of::exec) {
    exec_ended(node, exit);
    co_return;
  }
  if (exit.of == plugins::Exit::Of::sandbox) {
    // Not awaited: stop_sandbox waits for the ends of containers, which this task reports.
    const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(exit.id);
    if (sandbox == nullptr) co_return;
    sandbox->broken = true;
    node.attempts.spawn(stop_without_init(node, sandbox));
    co_return;
  }
  const std::shared_ptr<Container> container = node.pods.container(exit.id);
  if (container != nullptr) {
    co_await container_ended(node, container, std::move(exit));
  } else {
    // It has no record, so no call will remove it.
    co_await runtime.remove(exit.id);
  }
}

}  // namespace

Task<void> note_end(Node& node, std::shared_ptr<Container> container, plugins::Exit exit) {
  bool oom_killed = false;
  if (!exit.exit_code || *exit.exit_code != 0) {
    Result<plugins::CgroupUsage> usage =
        co_await node.resources.usage(container->item.pod_sandbox_id(), container->id()).result();
    oom_killed = usage.ok() && usage->oom_killed;
  }
  records::ContainerRecord record = co_await records::load_container(node.state, container->id());
  // The end of a PID namespace ends its processes. In a shared one, processes that the first
  // process left would hold its ports and its cgroup.
  if (record.config().linux().security_context().namespace_options().pid() !=
      runtime::v1::NamespaceMode::CONTAINER) {
    co_await kill_cgroup(node, container);
  }
  record.set_phase(state::v1::CONTAINER_EXITED);
  record.set_finished_at(exit.finished_at_ns != 0 ? exit.finished_at_ns : realtime_now_ns());
  record.set_exit_code(exit.exit_code.value_or(kExitCodeUnknown));
  record.set_reason(reason_of(exit, oom_killed));
  if (!exit.exit_code) {
    record.set_message("the container ended while its runtime handler could not see the exit code");
  }
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_EXITED;
  container->rootfs.reset();
  container->ended.set();
}

Task<void> watch_exits(Node& node, plugins::RuntimeHandler& runtime) {
  for (;;) {
    plugins::Exit exit = co_await runtime.next_exit();
    const std::string id = exit.id;
    Result<void> done = co_await process_ended(node, runtime, std::move(exit)).result();
    if (done.ok()) continue;
    if (!done.error().is(Errc::cancelled)) {
      node.log.error("exit", id + ": " + done.error().message());
    } else {
      co_await std::move(done);
    }
  }
}

}  // namespace berth::cri
