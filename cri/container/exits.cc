// SPDX-License-Identifier: Apache-2.0
// How containers end: the runtime handler reports it, the record keeps it, who waits is woken.
#include "core/base/units.h"
#include "cri/container/calls.h"

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

}  // namespace

Task<void> note_end(Node& node, std::shared_ptr<Container> container, plugins::Exit exit) {
  bool oom_killed = false;
  if (!exit.exit_code || *exit.exit_code != 0) {
    Result<plugins::CgroupUsage> usage =
        co_await node.resources.usage(container->item.pod_sandbox_id(), container->id()).result();
    oom_killed = usage.ok() && usage->oom_killed;
  }
  records::ContainerRecord record = co_await records::load_container(node.state, container->id());
  record.set_phase(state::v1::CONTAINER_ENDED);
  record.set_finished_at(exit.finished_at_ns != 0 ? exit.finished_at_ns : realtime_now_ns());
  record.set_exit_code(exit.exit_code.value_or(kExitCodeUnknown));
  record.set_reason(reason_of(exit, oom_killed));
  if (!exit.exit_code) {
    record.set_message(
        "the container ended while neither agent nor keeper could see its exit code");
  }
  co_await records::save(node.state, record);
  container->phase = state::v1::CONTAINER_ENDED;
  container->pidfd.reset();
  container->rootfs.reset();
  container->ended.set();
}

Task<void> watch_exits(Node& node) {
  for (;;) {
    plugins::Exit exit = co_await node.handler.next_exit();
    const auto exec = node.pods.execs.find(exit.id);
    if (exec != node.pods.execs.end()) {
      exec->second->exit_code = exit.exit_code;
      exec->second->ended.set();
      continue;
    }
    const std::shared_ptr<Container> container = node.pods.container(exit.id);
    if (container == nullptr) continue;
    if (container->phase == state::v1::CONTAINER_ENDED) continue;  // told again after a reconnect
    if (!container->living()) {
      // Its launch has been answered but not yet been written down; start_container goes on with
      // it.
      container->early_exit = std::move(exit);
      continue;
    }
    Result<void> noted = co_await note_end(node, container, std::move(exit)).result();
    if (!noted.ok()) {
      node.log.error("container",
                     "end of " + container->id() + " is not on record: " + noted.error().message());
    }
  }
}

}  // namespace berth::cri
