// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/pod_init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include <utility>

#include "core/container/launch.h"
#include "core/linux/pidfd.h"
#include "core/ring/with_deadline.h"

namespace berth::cri {

namespace {

// As containerd's and CRI-O's infrastructure process; clamped by the child where it is not
// permitted.
constexpr int kInitOomScoreAdj = -998;

oci::Namespace joined(const UniqueFd& fd) {
  if (!fd.valid()) return {oci::Namespace::Mode::host, -1};
  return {oci::Namespace::Mode::join, fd.get()};
}

// A pidfd is readable when its process has ended.
Task<void> wait_gone(Ring& ring, int pidfd) {
  constexpr unsigned kReadable = 1;  // POLLIN
  co_await ring.poll(pidfd, kReadable);
}

}  // namespace

std::string pod_init_name(const std::string& pod_id) {
  return pod_id + ".init";
}

std::string pod_of_init(const std::string& name) {
  constexpr std::string_view kSuffix = ".init";
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : std::string();
}

Task<void> start_pod_init(Node& node, Sandbox& sandbox) {
  const plugins::Placement placement = co_await node.resources.pod_placement(sandbox.id());
  oci::Namespaces namespaces;
  namespaces.ipc = joined(sandbox.namespaces.ipc);
  namespaces.uts = joined(sandbox.namespaces.uts);
  namespaces.network = joined(sandbox.namespaces.net);
  container::LaunchFds fds;
  fds.cgroup = placement.cgroup.get();
  for (const UniqueFd& tasks : placement.v1_tasks) fds.v1_tasks.push_back(tasks.get());
  container::EncodedPlan plan =
      co_await container::encode_pod_init(namespaces, kInitOomScoreAdj, fds);
  keeper::LaunchOrder order;
  order.id = pod_init_name(sandbox.id());
  order.kind = keeper::ProcessKind::pod_init;
  order.plan = std::move(plan.memfd);
  order.plan_fds = std::move(plan.fds);
  const Deadline deadline = Deadline::after_ms(node.options.launch_ms_max);
  keeper::Started started = co_await node.keeper.launch(std::move(order), deadline);
  sandbox.init_pid = started.pid;
  sandbox.init_pidfd = std::move(started.pidfd);
  const std::string path = "/proc/" + std::to_string(started.pid) + "/ns/pid";
  sandbox.namespaces.pid.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!sandbox.namespaces.pid.valid()) co_await fail(sys_error(errno, "open", path));
}

Task<void> end_pod_init(Node& node, std::string pod_id) {
  const std::string name = pod_init_name(pod_id);
  const std::optional<keeper::KnownProcess> init = node.keeper.find(name);
  if (!init) co_return;
  if (!init->exit) {
    co_await sys::pidfd_send_signal(init->pidfd, SIGKILL);
    const Deadline deadline = Deadline::after_ms(node.options.kill_ms_max);
    const UniqueFd pidfd(::fcntl(init->pidfd, F_DUPFD_CLOEXEC, 3));
    if (!pidfd.valid()) co_await fail(sys_error(errno, "fcntl F_DUPFD_CLOEXEC", name));
    co_await with_deadline(node.ring, deadline, wait_gone(node.ring, pidfd.get()));
  }
  // The keeper may still be about to reap it: it is forgotten when that is done.
  for (int attempt = 0;; ++attempt) {
    constexpr int kAttemptsMax = 100;
    Result<void> forgotten =
        co_await node.keeper.forget(name, Deadline::after_ms(kKeeperMsMax)).result();
    if (forgotten.ok()) co_return;
    if (!forgotten.error().is(Errc::failed_precondition) || attempt == kAttemptsMax) {
      co_await std::move(forgotten);
    }
    co_await node.ring.sleep_until(Deadline::after_ms(1));
  }
}

}  // namespace berth::cri
