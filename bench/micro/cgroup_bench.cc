// SPDX-License-Identifier: Apache-2.0
// Question: how long do the cgroup operations of a pod with one limited container take, from
// prepare_pod to cleanup_pod? (Without limits on a v2 hierarchy that has no controllers.)
// Baseline: mkdir(2) and rmdir(2) of the same directories.
// Non-goals: the cost of limits while the container runs, and moving processes.
//
// The cases run in a child process, below a parent cgroup of their own. The parent process removes
// that cgroup, however the child ends.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "bench/micro/place.h"
#include "plugins/cgroup1/cgroup1.h"
#include "plugins/cgroup2/cgroup2.h"
#include "plugins/resources/cgroup_tree.h"

namespace berth::bench {
namespace {

using plugins::CgroupMount;

// The state that both sides of a comparison share. It must outlive the cases.
struct Machine {
  std::vector<CgroupMount> mounts;
  std::string parent;
  Log log{LogLevel::error};
};

bool has_version(const Machine& machine, plugins::CgroupVersion version) {
  return std::any_of(machine.mounts.begin(), machine.mounts.end(),
                     [version](const CgroupMount& mount) { return mount.version == version; });
}

template <typename Plugin>
std::unique_ptr<Plugin> make_plugin(Ring& ring, Machine& machine) {
  auto plugin = must(Plugin::create(ring, machine.log, {.parent = machine.parent}, machine.mounts));
  must(ring.run_until(plugin->recover({})));
  return plugin;
}

// On a hybrid machine the v2 hierarchy has no controllers, so its groups have no limits.
plugins::Resources make_limits(const Machine& machine, std::string_view plugin) {
  if (plugin == "cgroup2") {
    for (const CgroupMount& mount : machine.mounts) {
      if (mount.version != plugins::CgroupVersion::v2) continue;
      std::ifstream file(mount.mount_point + "/cgroup.controllers");
      const std::string all{std::istreambuf_iterator<char>(file), {}};
      for (const char* controller : {"cpu", "memory", "pids"}) {
        if (all.find(controller) == std::string::npos) return {};
      }
    }
  }
  return {.cpu_shares = 512, .memory_limit_in_bytes = 64 << 20, .pids_limit = 100};
}

Task<void> prepare_one(plugins::ResourcesPlugin& plugin, plugins::Resources limits) {
  plugins::PodCgroup pod;
  pod.pod_id = "p";
  co_await plugin.prepare_pod(std::move(pod));
  plugins::ContainerCgroup container;
  container.pod_id = "p";
  container.container_id = "c";
  container.resources = std::move(limits);
  plugins::Placement placed = co_await plugin.prepare(std::move(container));
  ::benchmark::DoNotOptimize(placed.cgroup.get());
}

Task<void> cleanup_one(plugins::ResourcesPlugin& plugin) {
  co_await plugin.cleanup("p", "c");
  co_await plugin.cleanup_pod("p");
}

Task<void> rounds(plugins::ResourcesPlugin& plugin, plugins::Resources limits,
                  ::benchmark::State& state) {
  while (state.KeepRunning()) {
    co_await prepare_one(plugin, limits);
    co_await cleanup_one(plugin);
  }
}

template <typename Plugin>
void by_plugin(::benchmark::State& state, Machine& machine) {
  const auto ring = must(Ring::create());
  const auto plugin = make_plugin<Plugin>(*ring, machine);
  must(ring->run_until(rounds(*plugin, make_limits(machine, plugin->name()), state)));
}

// Every directory below the parent cgroup in all hierarchies, with parents before children.
std::vector<std::string> directories(const Machine& machine) {
  std::vector<std::string> found;
  for (const CgroupMount& mount : machine.mounts) {
    std::error_code absent;
    const std::string top = mount.mount_point + "/" + machine.parent;
    for (std::filesystem::recursive_directory_iterator at(top, absent), end; at != end;
         at.increment(absent)) {
      if (at->is_directory()) found.push_back(at->path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

template <typename Plugin>
void by_syscalls(::benchmark::State& state, Machine& machine) {
  const auto ring = must(Ring::create());
  const auto plugin = make_plugin<Plugin>(*ring, machine);
  const std::vector<std::string> before = directories(machine);
  must(ring->run_until(prepare_one(*plugin, make_limits(machine, plugin->name()))));
  std::vector<std::string> made;
  for (const std::string& path : directories(machine)) {
    if (!std::binary_search(before.begin(), before.end(), path)) made.push_back(path);
  }
  must(ring->run_until(cleanup_one(*plugin)));
  if (made.empty()) give_up("the plugin made no directory");
  for (auto _ : state) {
    for (const std::string& path : made) must_call(::mkdir(path.c_str(), 0755), path.c_str());
    for (auto path = made.rbegin(); path != made.rend(); ++path) {
      must_call(::rmdir(path->c_str()), path->c_str());
    }
  }
  state.counters["directories"] = static_cast<double>(made.size());
}

template <typename Plugin>
void add_cases(const std::string& name, Machine& machine) {
  const auto add = [&machine](const std::string& full, void (*run)(::benchmark::State&, Machine&)) {
    auto body = [run, &machine](::benchmark::State& state) { run(state, machine); };
    figures(::benchmark::RegisterBenchmark(full.c_str(), body));
  };
  add("BM_" + name + "_by_plugin", by_plugin<Plugin>);
  add("BM_" + name + "_by_mkdir", by_syscalls<Plugin>);
}

int run_child(int argc, char** argv, Machine& machine) {
  if (has_version(machine, plugins::CgroupVersion::v1)) {
    add_cases<plugins::Cgroup1>("cgroup1", machine);
  }
  if (has_version(machine, plugins::CgroupVersion::v2)) {
    add_cases<plugins::Cgroup2>("cgroup2", machine);
  }
  return run_cases(argc, argv);
}

void remove_parent(const Machine& machine) {
  for (const CgroupMount& mount : machine.mounts) {
    auto root = sys::Cgroup::open(AT_FDCWD, mount.mount_point);
    if (!root.ok()) continue;
    const Status removed = plugins::remove_cgroup(*root, machine.parent);
    if (!removed.ok()) std::fprintf(stderr, "bench: %s\n", removed.error().message().c_str());
  }
}

// Waits for the end of the child, or for a termination signal, after which it kills the child.
int wait_for(pid_t child, const sigset_t& signals) {
  int signal_number = 0;
  ::sigwait(&signals, &signal_number);
  if (signal_number != SIGCHLD) ::kill(child, SIGKILL);
  int status = 0;
  must_call(::waitpid(child, &status, 0), "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int run(int argc, char** argv) {
  Machine machine;
  machine.mounts = must(plugins::read_cgroup_mounts());
  machine.parent = "berth-bench-" + std::to_string(::getpid());
  sigset_t signals, before;
  ::sigemptyset(&signals);
  for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&signals, number);
  must_call(::sigprocmask(SIG_BLOCK, &signals, &before), "sigprocmask");
  const pid_t child = static_cast<pid_t>(must_call(::fork(), "fork"));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    std::exit(run_child(argc, argv, machine));
  }
  const int code = wait_for(child, signals);
  remove_parent(machine);
  return code;
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run(argc, argv);
}
