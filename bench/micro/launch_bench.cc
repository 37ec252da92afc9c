// SPDX-License-Identifier: Apache-2.0
// Question: how long does it take to start `true` in a container, from its Spec to its exec?
// Baseline: the same namespaces and mounts made only with system calls; and vfork and exec without
// any of them.
// Non-goals: the rootfs (a detached clone of one directory, which is made outside of the measured
// time), cgroups, the seccomp filter, the network namespace (pods take theirs from a pool). The
// baseline drops no capabilities.
//
// All cases run from a small read-only root, as the keeper does. Another thread stays in the
// machine's mount namespace, because mounts can be cloned only from inside their namespace.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "bench/micro/launch_by_hand.h"
#include "bench/micro/place.h"
#include "core/container/launch.h"
#include "core/container/report.h"
#include "core/container/spawn.h"
#include "core/linux/capability.h"
#include "core/linux/mmap.h"
#include "core/linux/mount.h"

namespace berth::bench {
namespace {

namespace fs = std::filesystem;
constexpr char kProgram[] = "/bin/busybox";

void build_lower() {
  for (const char* directory : {"bin", "proc", "sys", "dev"}) {
    fs::create_directories(place("lower/") + directory);
  }
  if (!fs::exists(kProgram)) give_up("/bin/busybox is missing (a static one)");
  fs::copy_file(kProgram, place("lower/bin/true"));
}

// Clones mounts on a thread of its own, because the mount namespace is a property of the thread.
// Create it before the caller leaves the namespace.
class RootfsMaker {
 public:
  RootfsMaker() {
    int requests[2], answers[2];
    must_call(::pipe2(requests, O_CLOEXEC), "pipe2");
    must_call(::pipe2(answers, O_CLOEXEC), "pipe2");
    requests_in_.reset(requests[0]);
    requests_.reset(requests[1]);
    answers_.reset(answers[0]);
    answers_out_.reset(answers[1]);
    thread_ = std::thread([this] { serve(); });
  }
  RootfsMaker(const RootfsMaker&) = delete;
  ~RootfsMaker() {
    requests_.reset();
    thread_.join();
  }

  sys::UniqueMount make() {
    must_call(::write(requests_.get(), "r", 1), "ask for a rootfs");
    int fd = -1;
    must_call(::read(answers_.get(), &fd, sizeof fd), "wait for a rootfs");
    return sys::UniqueMount(UniqueFd(fd));
  }

 private:
  void serve() {
    char request = 0;
    while (must_call(::read(requests_in_.get(), &request, 1), "wait for requests") == 1) {
      const int fd =
          must(sys::open_tree_clone(AT_FDCWD, place("lower"), false)).release().release();
      must_call(::write(answers_out_.get(), &fd, sizeof fd), "give a rootfs");
    }
  }

  UniqueFd requests_in_, requests_, answers_, answers_out_;
  std::thread thread_;
};

// The resources of the cases after the program has left the machine's mount namespace.
struct Site {
  std::optional<RootfsMaker> rootfs;
  UniqueFd program, proc, null;
};

void leave_machine() {
  const std::string root = place("small");
  fs::create_directories(root);
  must_call(::unshare(CLONE_NEWNS), "unshare");
  must_call(::mount("small", root.c_str(), "tmpfs", 0, "mode=755"), "mount a small root");
  for (const char* name : {"/rootfs", "/empty"}) fs::create_directory(root + name);
  const UniqueFd none(static_cast<int>(
      must_call(::open((root + "/none").c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0444), "none")));
  must_call(::mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr),
            "make it read-only");
  must_call(::chdir(root.c_str()), "enter it");
  must_call(::syscall(SYS_pivot_root, ".", "."), "pivot_root");
  must_call(::umount2(".", MNT_DETACH), "leave the machine's mounts");
  must_call(::chdir("/"), "enter /");
}

void prepare(Site& site) {
  ::benchmark::CPUInfo::Get();  // reads and caches values of /proc and /sys while they are mounted
  build_lower();
  const auto open_fd = [](const char* path, int flags) {
    return UniqueFd(static_cast<int>(must_call(::open(path, flags | O_CLOEXEC), path)));
  };
  site.program = open_fd(place("lower/bin/true").c_str(), O_PATH);
  site.proc = open_fd("/proc", O_PATH | O_DIRECTORY);
  site.null = open_fd("/dev/null", O_RDWR);
  site.rootfs.emplace();
  leave_machine();
}

container::LaunchContainer make_spec() {
  constexpr std::uint64_t kSafe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
  constexpr char kDev[] = "mode=755,size=65536k";
  constexpr char kPts[] = "newinstance,ptmxmode=0666,mode=0620,gid=5";
  const auto mount = [](const char* at, const char* type, const char* data, std::uint64_t flags) {
    return container::LaunchMount{
        .destination = at, .type = type, .source = type, .data = data, .flags = flags};
  };
  container::LaunchContainer spec;
  spec.process.args = {"/bin/true"};
  spec.process.no_new_privileges = true;
  const std::uint64_t capabilities = sys::capability_container_default();
  spec.process.capabilities = {capabilities, capabilities, 0, capabilities, 0};
  spec.mounts = {mount("/proc", "proc", "", kSafe),
                 mount("/dev", "tmpfs", kDev, MOUNT_ATTR_NOSUID),
                 mount("/dev/pts", "devpts", kPts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC),
                 mount("/dev/shm", "tmpfs", "mode=1777", kSafe),
                 mount("/dev/mqueue", "mqueue", "", kSafe),
                 mount("/sys", "sysfs", "", kSafe | MOUNT_ATTR_RDONLY)};
  spec.namespaces.ipc.mode = container::PlanNamespaceMode::fresh;
  spec.namespaces.uts.mode = container::PlanNamespaceMode::fresh;
  spec.namespaces.network.mode = container::PlanNamespaceMode::host;
  const auto device = [&spec](const char* path, unsigned major, unsigned minor) {
    spec.devices.push_back({path, S_IFCHR | 0666, major, minor, 0, 0});
  };
  device("/dev/null", 1, 3);
  device("/dev/zero", 1, 5);
  device("/dev/full", 1, 7);
  device("/dev/random", 1, 8);
  device("/dev/urandom", 1, 9);
  device("/dev/tty", 5, 0);
  spec.masked_paths = {"/proc/kcore", "/proc/keys", "/proc/timer_list",
                       "/proc/acpi",  "/proc/scsi", "/sys/firmware"};
  spec.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return spec;
}

// Waits until the program was executed: the channel closes without a report of a failure.
void wait_executed(int channel) {
  for (;;) {
    pollfd waiting{channel, POLLIN, 0};
    must_call(::poll(&waiting, 1, -1), "poll");
    container::Report report;
    int passed = -1;
    const container::ReadReport got = container::read_report(channel, &report, &passed);
    if (got == container::ReadReport::end_of_file) return;
    if (got == container::ReadReport::broken) give_up("a broken report");
    if (report.kind == container::ReportKind::failed) {
      errno = report.sys_errno;
      must_call(-1, report.detail);
    }
  }
}

// Returns the pid of a child that has executed its program.
pid_t spawn_by_plan(const container::LaunchContainer& spec, const Site& site, int rootfs) {
  container::LaunchFds fds;
  fds.rootfs = rootfs;
  const container::EncodedPlan plan = must(container::encode_container(spec, fds));
  const sys::Mmap memory = must(sys::Mmap::create(plan.memfd.get(), plan.size, {}, "plan"));
  container::PlanView view;
  if (!container::PlanView::parse(memory.data(), plan.size, &view)) give_up("a bad plan");
  const int null = site.null.get();
  const container::SpawnRequest request{.plan = &view,
                                        .fds = plan.fds,
                                        .stdin_fd = null,
                                        .stdout_fd = null,
                                        .stderr_fd = null,
                                        .empty_dir = "/empty",
                                        .empty_file = "/none",
                                        .proc_fd = site.proc.get(),
                                        .bare_root = true};
  container::SpawnResult spawned;
  errno = container::spawn(request, &spawned);
  if (errno != 0) must_call(-1, "spawn");
  const UniqueFd channel(spawned.channel), pidfd(spawned.pidfd);
  wait_executed(channel.get());
  return spawned.pid;
}

void reap(pid_t pid) {
  int status = 0;
  must_call(::waitpid(pid, &status, 0), "waitpid");
  if (status != 0) give_up("true is not true");
}

// Each iteration has a new rootfs. The measured time is that of start(rootfs). Two counters are
// reported with it: the time until the process can be reaped, which the kernel mostly spends to
// remove the mounts, and the shortest start, the only reliable number on a machine with other load.
template <typename Start>
void time_starts(::benchmark::State& state, Site& site, Start start) {
  using Clock = std::chrono::steady_clock;
  using Seconds = std::chrono::duration<double>;
  double ending = 0;
  Seconds shortest = Seconds::max();
  for (auto _ : state) {
    const sys::UniqueMount rootfs = site.rootfs->make();
    const Clock::time_point begin = Clock::now();
    const pid_t pid = start(rootfs.get());
    const Clock::time_point executed = Clock::now();
    reap(pid);
    ending += Seconds(Clock::now() - executed).count();
    shortest = std::min(shortest, Seconds(executed - begin));
    state.SetIterationTime(Seconds(executed - begin).count());
  }
  state.counters["shortest_s"] = shortest.count();
  state.counters["ending_s"] = ::benchmark::Counter(ending, ::benchmark::Counter::kAvgIterations);
}

void by_plan(::benchmark::State& state, Site& site) {
  const container::LaunchContainer spec = make_spec();
  time_starts(state, site,
              [&spec, &site](int rootfs) { return spawn_by_plan(spec, site, rootfs); });
}
void by_hand(::benchmark::State& state, Site& site) {
  time_starts(state, site, [](int rootfs) { return spawn_by_hand(rootfs); });
}
void bare(::benchmark::State& state, Site& site) {
  time_starts(state, site, [&site](int) { return spawn_bare(site.program.get()); });
}

void add(const char* name, Site& site, void (*run)(::benchmark::State&, Site&)) {
  auto body = [run, &site](::benchmark::State& state) { run(state, site); };
  ::benchmark::internal::Benchmark* added = ::benchmark::RegisterBenchmark(name, body);
  added->UseManualTime();
  add_deviation(added);
}

int run(int argc, char** argv) {
  Site site;
  add("BM_launch_by_plan", site, by_plan);
  add("BM_launch_by_hand", site, by_hand);
  add("BM_launch_without_namespaces", site, bare);
  return run_cases(argc, argv, [&site] { prepare(site); });
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  return berth::bench::run(argc, argv);
}
