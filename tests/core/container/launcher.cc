// SPDX-License-Identifier: Apache-2.0
#include "tests/core/container/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include "core/base/error.h"
#include "core/linux/capability.h"
#include "core/linux/overlay_mount.h"
#include "tests/support/waitid_blocking.h"

namespace berth::container::testing {
namespace {

namespace fs = std::filesystem;
constexpr char kPlace[] = "/mnt";

void must(bool good, const char* what) {
  if (good) return;
  std::perror(what);
  std::abort();
}

std::string read_to_end(const UniqueFd& fd) {
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
    if (got <= 0) return text;
    text.append(chunk, static_cast<std::size_t>(got));
  }
}

struct Pipe {
  UniqueFd read_end, write_end;
};
Pipe make_pipe() {
  int ends[2];
  must(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void build_busybox(const std::string& root) {
  for (const char* directory : {"bin", "etc", "proc", "sys", "dev", "tmp", "root", "usr/bin"}) {
    fs::create_directories(root + "/" + directory);
  }
  fs::copy_file("/bin/busybox", root + "/bin/busybox");
  for (const char* applet :
       {"sh",       "cat",     "ls",   "echo",   "id",   "mount", "sleep",    "touch", "mkdir",
        "readlink", "stat",    "grep", "ps",     "true", "kill",  "hostname", "pwd",   "umount",
        "mknod",    "nsenter", "rm",   "chroot", "tty",  "stty",  "unshare",  "ulimit"}) {
    fs::create_symlink("busybox", root + "/bin/" + applet);
  }
}

// The covers that mask paths: an empty directory and an empty file.
void make_covers(const std::string& directory) {
  fs::create_directories(directory + "/empty");
  const UniqueFd file(::open((directory + "/none").c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0444));
  must(file.valid(), "none");
}

}  // namespace

std::string place(const std::string& path) {
  return std::string(kPlace) + "/" + path;
}

void PlaceEnvironment::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  must(::unshare(CLONE_NEWNS) == 0, "unshare");
  must(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "private");
  must(::mount("tmpfs", kPlace, "tmpfs", 0, "mode=755") == 0, "tmpfs");
  build_busybox(place("lower"));
  make_covers(place("covers"));
  const std::string covers = place("covers");
  must(::mount(covers.c_str(), covers.c_str(), nullptr, MS_BIND, nullptr) == 0, "covers");
  constexpr unsigned long kReadOnly = MS_REMOUNT | MS_BIND | MS_RDONLY;
  must(::mount(nullptr, covers.c_str(), nullptr, kReadOnly, nullptr) == 0, "covers read-only");
}

const Report* Launch::find(ReportKind kind) const {
  for (const Report& report : reports) {
    if (report.kind == kind) return &report;
  }
  return nullptr;
}

bool Launch::executed() const {
  return ended_channel && find(ReportKind::ready) != nullptr && find(ReportKind::failed) == nullptr;
}

std::string Launch::failure() const {
  if (spawn_errno != 0) return "spawn: " + errno_name(spawn_errno);
  const Report* report = find(ReportKind::failed);
  if (report == nullptr) return "";
  return std::string(step_name(report->step)) + " " + report->detail + ": " +
         errno_name(report->sys_errno);
}

void Launch::wait_started() {
  while (spawn_errno == 0 && !ended_channel) {
    pollfd waiting{channel.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&waiting, 1, 10'000), 1) << "nothing on the report channel";
    Report report;
    int passed = -1;
    const ReadReport got = read_report(channel.get(), &report, &passed);
    ASSERT_NE(got, ReadReport::broken);
    if (passed >= 0) terminal.reset(passed);
    if (got == ReadReport::end_of_file) ended_channel = true;
    if (got != ReadReport::message) continue;
    reports.push_back(report);
    if (report.kind != ReportKind::created) continue;
    helper_pidfd = std::move(pidfd);
    pid = report.pid;
    pidfd = std::move(sys::pidfd_open(pid)).value();
    EXPECT_EQ(sys::waitid_blocking(helper_pidfd.get()).value().exit_code, 0);
  }
}

std::string Launch::read_stdout() {
  return read_to_end(stdout_end);
}
std::string Launch::read_stderr() {
  return read_to_end(stderr_end);
}

int Launch::wait_exit() {
  return sys::waitid_blocking(pidfd.get()).value().exit_code;
}

void Launch::kill(int signal_number) {
  EXPECT_TRUE(sys::pidfd_send_signal(pidfd.get(), signal_number).ok());
}

Launch launch(const EncodedPlan& plan, const LaunchOptions& options) {
  Launch result;
  result.plan_memory = sys::Mmap::create(plan.memfd.get(), plan.size, {}, "plan").value();
  must(PlanView::parse(result.plan_memory.data(), plan.size, &result.plan), "parse");
  Pipe in = make_pipe(), out = make_pipe(), err = make_pipe();
  SpawnRequest request{.plan = &result.plan, .fds = plan.fds};
  const bool in_bare_root = ::access("/none", F_OK) == 0;
  const std::string empty_dir = in_bare_root ? "/empty" : place("covers/empty");
  const std::string empty_file = in_bare_root ? "/none" : place("covers/none");
  request.empty_dir = empty_dir.c_str();
  request.empty_file = empty_file.c_str();
  request.parent_tid = options.parent_tid;
  request.shared = options.shared;
  request.proc_fd = options.proc_fd;
  request.bare_root = options.bare_root;
  if (!result.plan.has(kPlanTerminal) && result.plan.kind() != PlanKind::pod_init) {
    if (!options.null_stdin) request.stdin_fd = in.read_end.get();
    request.stdout_fd = out.write_end.get();
    request.stderr_fd = err.write_end.get();
  }
  SpawnResult spawned;
  result.spawn_errno = spawn(request, &spawned);
  if (result.spawn_errno != 0) return result;
  result.channel.reset(spawned.channel);
  result.pidfd.reset(spawned.pidfd);
  result.pid = spawned.pid;
  result.stdin_end = std::move(in.write_end);
  result.stdout_end = std::move(out.read_end);
  result.stderr_end = std::move(err.read_end);
  return result;
}

UniqueFd enter_bare_root() {
  UniqueFd proc_fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const std::string root = place("keeper-root");
  fs::create_directories(root);
  must(::unshare(CLONE_NEWNS) == 0, "unshare");
  must(::mount("tmpfs", root.c_str(), "tmpfs", 0, "mode=755") == 0, "tmpfs");
  make_covers(root);
  must(::mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0, "read-only");
  must(::chdir(root.c_str()) == 0, "chdir");
  must(::syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  must(::umount2(".", MNT_DETACH) == 0, "umount");
  return proc_fd;
}

sys::UniqueMount make_rootfs(const std::string& lower) {
  static int count = 0;
  const std::string base = place("overlay-" + std::to_string(count++));
  fs::create_directories(base + "/upper");
  fs::create_directories(base + "/work");
  sys::OverlayLayers layers;
  layers.lowerdirs = {place(lower)};
  layers.upperdir = base + "/upper";
  layers.workdir = base + "/work";
  return sys::mount_overlay(sys::MountFeatures::probe(), layers).value();
}

LaunchContainer base_spec(std::vector<std::string> args) {
  constexpr std::uint64_t kSafe = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
  LaunchContainer spec;
  spec.process.args = std::move(args);
  spec.process.env = {"PATH=/bin:/usr/bin"};
  spec.process.no_new_privileges = true;
  const std::uint64_t caps = sys::capability_container_default();
  spec.process.capabilities = {caps, caps, 0, caps, 0};
  spec.mounts = {
      {.destination = "/proc", .type = "proc", .source = "proc", .flags = kSafe},
      {.destination = "/dev",
       .type = "tmpfs",
       .source = "tmpfs",
       .data = "mode=755,size=65536k",
       .flags = MOUNT_ATTR_NOSUID},
      {.destination = "/dev/pts",
       .type = "devpts",
       .source = "devpts",
       .data = "newinstance,ptmxmode=0666,mode=0620,gid=5",
       .flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
      {.destination = "/dev/shm",
       .type = "tmpfs",
       .source = "shm",
       .data = "mode=1777",
       .flags = kSafe},
      {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .flags = kSafe},
      {.destination = "/sys",
       .type = "sysfs",
       .source = "sysfs",
       .flags = kSafe | MOUNT_ATTR_RDONLY},
  };
  spec.namespaces.ipc.mode = PlanNamespaceMode::fresh;
  spec.namespaces.uts.mode = PlanNamespaceMode::fresh;
  spec.namespaces.network.mode = PlanNamespaceMode::fresh;
  const auto device = [&spec](const char* path, unsigned major, unsigned minor) {
    spec.devices.push_back({path, S_IFCHR | 0666, major, minor, 0, 0});
  };
  device("/dev/null", 1, 3);
  device("/dev/zero", 1, 5);
  device("/dev/full", 1, 7);
  device("/dev/random", 1, 8);
  device("/dev/urandom", 1, 9);
  device("/dev/tty", 5, 0);
  spec.masked_paths = {"/proc/acpi",       "/proc/kcore", "/proc/keys",
                       "/proc/timer_list", "/proc/scsi",  "/sys/firmware"};
  spec.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  return spec;
}

std::string run(const LaunchContainer& spec, int* exit_code, LaunchFds fds) {
  sys::UniqueMount rootfs;
  if (fds.rootfs < 0) {
    rootfs = make_rootfs();
    fds.rootfs = rootfs.get();
  }
  Result<EncodedPlan> plan = encode_container(spec, fds);
  if (!plan.ok()) return plan.error().message();
  Launch launched = launch(*plan);
  launched.stdin_end.reset();
  launched.wait_started();
  const std::string text = launched.read_stdout() + launched.read_stderr();
  if (launched.spawn_errno != 0) return launched.failure();
  const int code = launched.wait_exit();
  if (exit_code != nullptr) *exit_code = code;
  return launched.executed() ? text : launched.failure();
}

std::string run_shell(const std::string& script) {
  return run(base_spec({"sh", "-c", script}));
}

}  // namespace berth::container::testing
