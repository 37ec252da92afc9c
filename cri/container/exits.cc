// SPDX-License-Identifier: Apache-2.0
// How processes end: the runtime handler reports it, the record keeps it, who waits is woken.
#include "core/base/units.h"
#include "cri/container/calls.h"
#include "cri/sandbox/calls.h"
#include "cri/sandbox/pod_init.h"

namespace berth::cri {

namespace {

// The reasons kubelet shows to people.
std::string reason_of(const plugins::Exit& exit, bool oom_killed) {
  if (oom_killed) return "OOMKilled";
  if (!exit.exit_code) return "ExitCodeUnknown";
  return *exit.exit_code == 0 ? "Completed" : "Error";
}

// The CRI has no "unknown" among exit codes; 255 with this reason is what its peers write, too.
constexpr int kExitCodeUnknown = 255;

constexpr std::int64_t kAgainMs = 1'000;

// A store that takes nothing now must not make a container that ended look alive for ever.
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
  // Who stops the sandbox ends its init as well.
  if (!sandbox->ready()) co_return;
  node.log.warn("sandbox", sandbox->id() + " has lost its init: stopped");
  co_await stop_sandbox(node, sandbox);
}

Task<void> container_ended(Node& node, std::shared_ptr<Container> container, plugins::Exit exit) {
  if (container->phase == state::v1::CONTAINER_EXITED) co_return;  // told again after a reconnect
  if (!container->running()) {
    // Its launch has been answered but not yet been written down; start_container goes on with it.
    container->early_exit = std::move(exit);
    co_return;
  }
  Result<void> noted = co_await note_end(node, container, exit).result();
  if (noted.ok()) co_return;
  node.log.error("container",
                 "end of " + container->id() + " is not on record: " + noted.error().message());
  node.attempts.spawn(note_end_later(node, container, std::move(exit)));
}

Task<void> process_ended(Node& node, plugins::Exit exit) {
  const auto exec = node.pods.execs.find(exit.id);
  if (exec != node.pods.execs.end()) {
    exec->second->exit_code = exit.exit_code;
    exec->second->ended.set();
    co_return;
  }
  const std::shared_ptr<Sandbox> sandbox = node.pods.sandbox(pod_of_init(exit.id));
  if (sandbox != nullptr) {
    // Not awaited here: it waits for the ends of containers, which this task tells.
    node.attempts.spawn(stop_without_init(node, sandbox));
    co_return;
  }
  const std::shared_ptr<Container> container = node.pods.container(exit.id);
  if (container != nullptr) {
    co_await container_ended(node, container, std::move(exit));
  } else {
    // Nobody will ask for it.
    co_await node.handler.remove(exit.id);
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
  // The end of a PID namespace takes its processes along; in one that goes on, those that the first
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
    record.set_message(
        "the container ended while neither agent nor keeper could see its exit code");
  }
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_EXITED;
  container->pidfd.reset();
  container->rootfs.reset();
  container->ended.set();
}

Task<void> watch_exits(Node& node) {
  for (;;) {
    plugins::Exit exit = co_await node.handler.next_exit();
    const std::string id = exit.id;
    Result<void> told = co_await process_ended(node, std::move(exit)).result();
    if (told.ok()) continue;
    if (!told.error().is(Errc::cancelled)) {
      node.log.error("exit", id + ": " + told.error().message());
    } else {
      co_await std::move(told);
    }
  }
}

}  // namespace berth::cri
