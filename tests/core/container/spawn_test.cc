// SPDX-License-Identifier: Apache-2.0
// A process of a container, from the plan to its exit, inspected from inside and from outside.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/linux/namespace.h"
#include "core/linux/openat2.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

namespace fs = std::filesystem;

std::string host_mounts() {
  return sys::read_small_file(AT_FDCWD, "/proc/self/mountinfo").value();
}

std::string failure_of(const LaunchContainer& spec) {
  int code = 0;
  const std::string text = run(spec, &code);
  EXPECT_EQ(code, 127);
  return text;
}

TEST(Spawn, RunsTheCommandAsFirstProcessOfItsNamespace) {
  int code = 0;
  const LaunchContainer spec = base_spec({"sh", "-c", "echo pid $$; exit 7"});
  EXPECT_EQ(run(spec, &code), "pid 1\n");
  EXPECT_EQ(code, 7);
}

TEST(Spawn, PassesEnvironmentArgumentsAndStdin) {
  const sys::UniqueMount rootfs = make_rootfs();
  LaunchContainer spec = base_spec({"/bin/sh", "-c", "cat; echo $WORD $0 $1", "zero", "one two"});
  spec.process.env.push_back("WORD=of the day");
  Launch launched = launch(encode_container(spec, {.rootfs = rootfs.get()}).value());
  ASSERT_EQ(::write(launched.stdin_end.get(), "in\n", 3), 3);
  launched.stdin_end.reset();
  launched.wait_started();
  EXPECT_TRUE(launched.executed()) << launched.failure();
  EXPECT_EQ(launched.read_stdout(), "in\nof the day zero one two\n");
  EXPECT_EQ(launched.wait_exit(), 0);
}

TEST(Spawn, CommandThatIsMissingIsAnExecFailureWithItsName) {
  EXPECT_EQ(failure_of(base_spec({"no-such-command"})), "exec no-such-command: ENOENT");
  EXPECT_EQ(failure_of(base_spec({"/no/such"})), "exec /no/such: ENOENT");
  EXPECT_EQ(failure_of(base_spec({""})), "exec : ENOENT");
}

TEST(Spawn, FileThatIsNotExecutableIsAnExecFailureWithEacces) {
  std::ofstream(place("lower/etc/text")) << "plain";
  EXPECT_EQ(failure_of(base_spec({"/etc/text"})), "exec /etc/text: EACCES");
  LaunchContainer spec = base_spec({"text"});
  spec.process.env = {"PATH=/nowhere:/etc"};
  EXPECT_EQ(failure_of(spec), "exec text: EACCES");
}

TEST(Spawn, TheSearchPathIsWalkedToTheFirstThatCanBeExecuted) {
  std::ofstream(place("lower/etc/echo")) << "plain";
  LaunchContainer spec = base_spec({"echo", "ran"});
  for (const char* path : {"PATH=/nowhere:/etc:/bin", "PATH=/etc/text:/bin", "PATH=/bin:/etc"}) {
    spec.process.env = {path};
    EXPECT_EQ(run(spec), "ran\n") << path;
  }
  spec.process.env = {"PATH=:/nowhere"};
  spec.process.cwd = "/bin";
  EXPECT_EQ(run(spec), "ran\n") << "an empty entry is the working directory";
}

TEST(Spawn, FailedMountNamesItsDestination) {
  LaunchContainer spec = base_spec({"true"});
  spec.mounts.push_back({.destination = "/data", .type = "no-such-filesystem"});
  EXPECT_EQ(failure_of(spec), "mounts /data: ENODEV");
}

TEST(Spawn, HostMountTableNeverShowsTheContainer) {
  const std::string before = host_mounts();
  const sys::UniqueMount rootfs = make_rootfs();
  const EncodedPlan plan =
      encode_container(base_spec({"sleep", "100"}), {.rootfs = rootfs.get()}).value();
  Launch launched = launch(plan);
  launched.wait_started();
  ASSERT_TRUE(launched.executed()) << launched.failure();
  EXPECT_EQ(host_mounts(), before);
  launched.kill(SIGKILL);
  EXPECT_EQ(launched.wait_exit(), 137);
  EXPECT_EQ(host_mounts(), before);
}

TEST(Spawn, NothingOfTheOldRootIsLeftInside) {
  const std::string mounts = run_shell("cat /proc/self/mountinfo");
  EXPECT_NE(mounts.find(" / / "), std::string::npos) << mounts;
  std::istringstream lines(mounts);
  int roots = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, inside, destination;
    fields >> id >> parent >> device >> inside >> destination;
    roots += destination == "/";
    const bool furnished = destination.rfind("/proc", 0) == 0 ||
                           destination.rfind("/dev", 0) == 0 || destination.rfind("/sys", 0) == 0;
    EXPECT_TRUE(destination == "/" || furnished) << line;
  }
  EXPECT_EQ(roots, 1) << mounts;
}

TEST(Spawn, NoDescriptorOfTheKeeperReachesTheContainer) {
  // A descriptor that lacks close-on-exec by mistake.
  const UniqueFd leak(::open("/", O_RDONLY | O_DIRECTORY));
  // Descriptor 3 is the directory that ls reads.
  EXPECT_EQ(run_shell("ls /proc/self/fd"), "0\n1\n2\n3\n");
  EXPECT_EQ(run_shell("readlink /proc/$$/fd/3 || echo closed"), "closed\n");
}

TEST(Spawn, SignalsAreAtTheirDefaultsAndUnblocked) {
  sigset_t all;
  ::sigfillset(&all);
  sigset_t old;
  ::sigprocmask(SIG_BLOCK, &all, &old);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string status =
      run(base_spec({"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"}));
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  EXPECT_EQ(status,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
}

TEST(Spawn, DevicesLinksAndModesAreAsProgramsExpect) {
  EXPECT_EQ(run_shell("cd /dev; stat -c '%n %a %t:%T' null zero full random urandom tty"),
            "null 666 1:3\nzero 666 1:5\nfull 666 1:7\nrandom 666 1:8\nurandom 666 1:9\n"
            "tty 666 5:0\n");
  EXPECT_EQ(run_shell("cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done"),
            "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n");
  EXPECT_EQ(run_shell("echo x > /dev/null && echo fine"), "fine\n");
}

TEST(Spawn, MaskedPathsAreEmptyAndReadonlyPathsRefuseWrites) {
  EXPECT_EQ(run_shell("cat /proc/keys /proc/timer_list; ls /sys/firmware"), "");
  const std::string text = run_shell("echo 1 > /proc/sys/kernel/panic || echo refused");
  EXPECT_NE(text.find("Read-only file system"), std::string::npos) << text;
  EXPECT_NE(text.find("refused"), std::string::npos) << text;
  EXPECT_NE(run_shell("touch /sys/firmware/x").find("Read-only"), std::string::npos);
}

// A mount below a read-only path stays visible and is read-only too.
TEST(Spawn, ReadonlyPathsCoverTheMountsBelowThem) {
  LaunchContainer spec =
      base_spec({"sh", "-c",
                 "cd /outer; cat inner/passed; touch x || echo outer refused; "
                 "touch inner/x || echo inner refused; echo y >single || echo file"});
  fs::create_directories(place("below"));
  std::ofstream(place("below/passed")) << "seen\n";
  sys::UniqueMount inner = sys::open_tree_clone(AT_FDCWD, place("below"), false).value();
  sys::UniqueMount single = sys::open_tree_clone(AT_FDCWD, place("below/passed"), false).value();
  spec.mounts.push_back({.destination = "/outer", .type = "tmpfs", .source = "tmpfs"});
  spec.mounts.push_back({.destination = "/outer/inner", .source_fd = inner.get()});
  spec.mounts.push_back(
      {.destination = "/outer/single", .source_fd = single.get(), .destination_is_file = true});
  spec.readonly_paths = {"/outer", "/no/such/path"};
  const std::string text = run(spec);
  for (const char* line : {"seen\n", "outer refused\n", "inner refused\n", "file\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
  EXPECT_FALSE(fs::exists(place("below/x")));
  EXPECT_EQ(sys::read_small_file(AT_FDCWD, place("below/passed")).value(), "seen\n");
}

TEST(Spawn, MasksAreTheCallersEmptyDirectoryAndFile) {
  const auto identity = [](const std::string& path) {
    struct stat info {};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return std::to_string(info.st_ino);
  };
  LaunchContainer spec =
      base_spec({"sh", "-c",
                 "ls /etc /usr /sys/firmware; stat -c %i /etc /usr; stat -c %i:%s:%F /proc/keys "
                 "/proc/timer_list; exec 2>&-; echo x >/proc/keys || echo refused"});
  spec.masked_paths = {"/etc", "/usr", "/sys/firmware", "/proc/keys", "/proc/timer_list"};
  const std::string file = identity(place("covers/none")) + ":0:regular empty file\n";
  const std::string directory = identity(place("covers/empty")) + "\n";
  EXPECT_EQ(run(spec), "/etc:\n\n/sys/firmware:\n\n/usr:\n" + directory + directory + file + file +
                           "refused\n");
}

TEST(Spawn, ReadonlyRootRefusesWritesButWorkingDirectoryWasMade) {
  LaunchContainer spec = base_spec({"sh", "-c", "pwd; stat -c %u:%a .; touch /x || echo refused"});
  spec.root_readonly = true;
  spec.process.cwd = "/made/for/me";
  spec.process.user.uid = 1000;
  const std::string text = run(spec);
  EXPECT_EQ(text.substr(0, text.find("touch")), "/made/for/me\n1000:755\nrefused\n");
  // For root only the read-only mount refuses the write.
  spec.process.user.uid = 0;
  const std::string of_root = run(spec);
  EXPECT_NE(of_root.find("refused"), std::string::npos) << of_root;
  EXPECT_NE(of_root.find("Read-only file system"), std::string::npos) << of_root;
}

TEST(Spawn, VolumesAreAttachedWithTheirFlagsAndMissingDestinationsMade) {
  fs::create_directories(place("volume/sub"));
  std::ofstream(place("volume/file")) << "from the host";
  sys::UniqueMount directory = sys::open_tree_clone(AT_FDCWD, place("volume"), true).value();
  sys::UniqueMount file = sys::open_tree_clone(AT_FDCWD, place("volume/file"), false).value();
  LaunchContainer spec = base_spec(
      {"sh", "-c", "cat /deep/er/file /srv/data/file; touch /srv/data/x || touch /srv/data/sub/y"});
  spec.mounts.push_back({.destination = "/srv/data",
                         .source_fd = directory.get(),
                         .recursive_flags = MOUNT_ATTR_RDONLY});
  spec.mounts.push_back(
      {.destination = "/deep/er/file", .source_fd = file.get(), .destination_is_file = true});
  const std::string text = run(spec);
  EXPECT_EQ(text.substr(0, 26), "from the hostfrom the host");
  EXPECT_FALSE(fs::exists(place("volume/x")));
  EXPECT_FALSE(fs::exists(place("volume/sub/y")));
}

TEST(Spawn, ReportsStagesInOrder) {
  const sys::UniqueMount rootfs = make_rootfs();
  Launch launched = launch(encode_container(base_spec({"true"}), {.rootfs = rootfs.get()}).value());
  launched.wait_started();
  const Report* ready = launched.find(ReportKind::ready);
  ASSERT_NE(ready, nullptr);
  for (int stage = 1; stage < kStages; ++stage) {
    EXPECT_GE(ready->stage_ns[stage], ready->stage_ns[stage - 1]) << stage;
  }
  EXPECT_GT(ready->stage_ns[kStageStarted], 0U);
  launched.wait_exit();
}

TEST(Spawn, KernelWritesThePidIntoTheKeepersTable) {
  auto* table = static_cast<pid_t*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const sys::UniqueMount rootfs = make_rootfs();
  const EncodedPlan plan =
      encode_container(base_spec({"sleep", "100"}), {.rootfs = rootfs.get()}).value();
  Launch container = launch(plan, {.parent_tid = &table[0]});
  container.wait_started();
  EXPECT_EQ(table[0], container.pid);
  const oci::Process process = base_spec({"true"}).process;
  const EncodedPlan exec = encode_exec(process, {}, {.target = container.pidfd.get()}).value();
  Launch second = launch(exec, {.parent_tid = &table[1]});
  second.wait_started();
  EXPECT_EQ(table[1], second.pid);
  EXPECT_EQ(second.wait_exit(), 0);
  container.kill(SIGKILL);
  container.wait_exit();
  ::munmap(table, 4096);
}

TEST(Spawn, SpawnRefusesStdioThatContradictsThePlan) {
  const sys::UniqueMount rootfs = make_rootfs();
  const EncodedPlan plan = encode_container(base_spec({"true"}), {.rootfs = rootfs.get()}).value();
  const sys::Mmap memory = sys::Mmap::create(plan.memfd.get(), plan.size, {}, "plan").value();
  PlanView view;
  ASSERT_TRUE(PlanView::parse(memory.data(), plan.size, &view));
  SpawnResult result;
  EXPECT_EQ(spawn({.plan = &view, .fds = plan.fds}, &result), EINVAL);
  EXPECT_EQ(spawn({.plan = &view, .stdin_fd = 5, .stdout_fd = 6, .stderr_fd = 7}, &result), EINVAL);
}

}  // namespace
}  // namespace berth::container::testing
