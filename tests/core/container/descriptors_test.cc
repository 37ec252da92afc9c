// SPDX-License-Identifier: Apache-2.0
// A process of a container has nothing open of the caller's when another process of the container
// can first inspect it, and its own exec cannot use a path through the caller's descriptors.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "core/linux/openat2.h"
#include "tests/core/container/launcher.h"

namespace berth::container::testing {
namespace {

namespace fs = std::filesystem;

// A directory of the host, open as a descriptor that lacks close-on-exec by mistake, and the path
// of a program below it.
struct LeakedDirectory {
  UniqueFd fd{::open("/", O_RDONLY | O_DIRECTORY)};
  std::string program() const {
    return "/proc/self/fd/" + std::to_string(fd.get()) + place("lower/bin/busybox");
  }
};

Launch start(const LaunchContainer& spec, const LaunchOptions& options = {}) {
  const sys::UniqueMount rootfs = make_rootfs();
  Launch launched = launch(encode_container(spec, {.rootfs = rootfs.get()}).value(), options);
  launched.wait_started();
  return launched;
}

// Runs `args` as container and as exec. An empty text is success.
std::vector<std::string> failures_of(std::vector<std::string> args) {
  std::vector<std::string> failures;
  LaunchContainer spec = base_spec(args);
  Launch direct = start(spec);
  failures.push_back(direct.failure());
  direct.wait_exit();
  Launch container = start(base_spec({"sleep", "100"}));
  oci::Process process = base_spec(std::move(args)).process;
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.wait_started();
  failures.push_back(exec.failure());
  exec.wait_exit();
  container.kill(SIGKILL);
  container.wait_exit();
  return failures;
}

TEST(Descriptors, ProgramBelowADescriptorOfTheCallerIsRefused) {
  const LeakedDirectory leaked;
  for (const std::string& failure : failures_of({leaked.program(), "echo", "out"})) {
    EXPECT_EQ(failure, "exec " + leaked.program() + ": ENOENT") << "it must be closed by then";
  }
  for (int fd = 0; fd < 64; ++fd) {
    for (const std::string& failure : failures_of({"/proc/self/fd/" + std::to_string(fd)})) {
      EXPECT_FALSE(failure.empty()) << fd;
    }
  }
}

TEST(Descriptors, ProgramOfTheCallerIsRefused) {
  for (const char* path : {"/proc/self/exe", "/proc/thread-self/exe", "/proc/self/root/bin/true",
                           "/proc/self/cwd/bin/true", "proc/self/exe"}) {
    for (const std::string& failure : failures_of({path, "--help"})) {
      EXPECT_EQ(failure, "exec " + std::string(path) + " leads through a link of /proc: ELOOP");
    }
  }
}

class HostileProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::copy(place("lower"), place("hostile"),
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  void TearDown() override { fs::remove_all(place("hostile")); }

  static std::string failure_of(std::vector<std::string> args) {
    const sys::UniqueMount rootfs = make_rootfs("hostile");
    LaunchContainer spec = base_spec(std::move(args));
    Launch launched = launch(encode_container(spec, {.rootfs = rootfs.get()}).value());
    launched.wait_started();
    const std::string failure = launched.failure();
    launched.wait_exit();
    return failure;
  }
  static void script(const std::string& path, const std::string& text) {
    std::ofstream(place("hostile" + path)) << text;
    fs::permissions(place("hostile" + path), fs::perms(0755));
  }
};

TEST_F(HostileProgram, LinksToTheCallersProgramAreRefused) {
  fs::create_symlink("/proc/self/exe", place("hostile/bin/link"));
  fs::create_symlink("proc/self", place("hostile/me"));
  EXPECT_NE(failure_of({"/bin/link"}).find("ELOOP"), std::string::npos);
  EXPECT_NE(failure_of({"link"}).find("ELOOP"), std::string::npos) << "found by PATH";
  EXPECT_NE(failure_of({"/me/exe"}).find("ELOOP"), std::string::npos);
}

TEST_F(HostileProgram, InterpretersThatAreTheCallersAreRefused) {
  const std::string lines[] = {"#!/proc/self/exe\n", "#! \t/proc/self/exe --help\n",
                               "#!/proc/self/exe", "#!/bin/inner\n", "#!/proc/self/fd/1\n"};
  script("/bin/inner", "#!/proc/self/exe\n");
  for (const std::string& line : lines) {
    script("/bin/script", line);
    EXPECT_NE(failure_of({"/bin/script"}).find("ELOOP"), std::string::npos) << line;
    EXPECT_NE(failure_of({"script"}).find("ELOOP"), std::string::npos) << line;
  }
}

TEST_F(HostileProgram, ScriptsOfOtherKindsRun) {
  script("/bin/plain", "#!/bin/sh\nexit 0\n");
  script("/bin/outer", "#! /bin/plain x\n");
  script("/bin/relative", "#!bin/sh\nexit 0\n");
  for (const char* name : {"plain", "/bin/plain", "/bin/outer", "/bin/relative"}) {
    EXPECT_EQ(failure_of({name}), "") << name;
  }
  fs::permissions(place("hostile/bin/busybox"), fs::perms(0111));
  EXPECT_EQ(failure_of({"true"}), "") << "executable but not readable";
}

TEST(Descriptors, StartedProcessHasItsStreamsOnly) {
  const LeakedDirectory leaked;
  // The shell's own descriptor 9 shows that the list is of the right process.
  LaunchContainer spec = base_spec({"sh", "-c", "exec 9</dev/null; ls /proc/1/fd; true"});
  Launch direct = start(spec);
  EXPECT_EQ(direct.read_stdout(), "0\n1\n2\n9\n");
  direct.wait_exit();
  Launch container = start(base_spec({"sleep", "100"}));
  oci::Process process = base_spec({"sh", "-c", "ls /proc/$$/fd; true"}).process;
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value());
  exec.wait_started();
  EXPECT_EQ(exec.read_stdout(), "0\n1\n2\n");
  exec.wait_exit();
  container.kill(SIGKILL);
  container.wait_exit();
}

// A neighbour with CAP_SYS_PTRACE in the PID namespace can inspect a process as soon as it exists.
// Here the test is the watcher, which can see at least as much.
class Watcher {
 public:
  Watcher(const volatile pid_t& cell, std::string pid_namespace)
      : cell_(cell), pid_namespace_(std::move(pid_namespace)), thread_([this] { watch(); }) {}
  ~Watcher() {
    stop_ = true;
    thread_.join();
  }
  std::set<std::string> found;
  unsigned looks = 0;

 private:
  void watch() {
    while (!stop_) {
      const pid_t pid = cell_;
      if (pid > 0) look("/proc/" + std::to_string(pid));
    }
  }

  // Records nothing if the process ends meanwhile.
  void look(const std::string& process) {
    std::error_code failed;
    if (fs::read_symlink(process + "/ns/pid", failed) != pid_namespace_) return;
    // Both are opened before the process can exec: afterwards they would be the container's own.
    const UniqueFd directory(::open((process + "/fd").c_str(), O_RDONLY | O_DIRECTORY));
    std::ifstream maps(process + "/maps");
    std::set<std::string> seen;
    DIR* const listing = directory.valid() ? ::fdopendir(::dup(directory.get())) : nullptr;
    if (listing == nullptr) return;
    while (const dirent* entry = ::readdir(listing)) {
      if (entry->d_name[0] == '.') continue;
      const std::string target =
          fs::read_symlink(process + "/fd/" + entry->d_name, failed).string();
      if (failed || target.rfind("socket:", 0) == 0 || target.rfind("pipe:", 0) == 0) continue;
      if (target == "/bin/busybox") continue;  // the container's program, open during the exec
      seen.insert(target);
    }
    ::closedir(listing);
    for (std::string line; std::getline(maps, line);) {
      if (line.find(" rw-s ") != std::string::npos) seen.insert("shared memory: " + line);
    }
    ++looks;
    found.insert(seen.begin(), seen.end());
  }

  const volatile pid_t& cell_;
  const std::string pid_namespace_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(Descriptors, NeighboursSeeNothingOfTheCallerInAProcessThatIsBeingMade) {
  const LeakedDirectory leaked;
  auto* const cells = static_cast<pid_t*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const std::span<std::byte> shared(reinterpret_cast<std::byte*>(cells), 4096);
  const UniqueFd proc_fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  Launch container = start(base_spec({"sleep", "100"}));
  const std::string ns =
      fs::read_symlink("/proc/" + std::to_string(container.pid) + "/ns/pid").string();
  {
    Watcher watcher(cells[0], ns);
    for (int i = 0; i < 200; ++i) {
      oci::Process process = base_spec({"true"}).process;
      process.oom_score_adj = 500;
      Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value(),
                           {.parent_tid = &cells[0], .shared = shared, .proc_fd = proc_fd.get()});
      exec.wait_started();
      EXPECT_TRUE(exec.executed()) << exec.failure();
      EXPECT_EQ(exec.wait_exit(), 0);
      cells[0] = 0;
    }
    ::usleep(1000);
    EXPECT_GT(watcher.looks, 0U) << "the watcher saw no process in time";
    EXPECT_EQ(watcher.found, std::set<std::string>());
  }
  container.kill(SIGKILL);
  container.wait_exit();
  ::munmap(cells, 4096);
}

std::string identity(const struct stat& info) {
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino);
}

// Identifies the file at descriptor 0 of the process, and checks that it is the null device.
std::string stdin_identity(const Launch& launched) {
  struct stat info {};
  const std::string path = "/proc/" + std::to_string(launched.pid) + "/fd/0";
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_rdev, ::makedev(1, 3));
  return identity(info);
}

TEST(Descriptors, StdinIsTheNullDeviceOfTheContainer) {
  struct stat host {};
  ASSERT_EQ(::stat("/dev/null", &host), 0);
  for (const bool has_null : {true, false}) {
    LaunchContainer spec = base_spec({"sh", "-c", "cat; sleep 100"});
    if (!has_null) {
      std::erase_if(spec.devices,
                    [](const oci::Device& device) { return device.path == "/dev/null"; });
    }
    Launch container = start(spec, {.null_stdin = true});
    ASSERT_TRUE(container.executed()) << container.failure();
    struct stat own {};
    const std::string path = "/proc/" + std::to_string(container.pid) + "/root/dev/null";
    const std::string used = stdin_identity(container);
    EXPECT_NE(used, identity(host));
    EXPECT_EQ(::stat(path.c_str(), &own) == 0, has_null);
    if (has_null) {
      EXPECT_EQ(used, identity(own));
    }
    oci::Process process = base_spec({"sleep", "100"}).process;
    Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value(),
                         {.null_stdin = true});
    exec.wait_started();
    ASSERT_TRUE(exec.executed()) << exec.failure();
    EXPECT_NE(stdin_identity(exec), identity(host));
    exec.kill(SIGKILL);
    exec.wait_exit();
    container.kill(SIGKILL);
    container.wait_exit();
  }
}

TEST(Descriptors, AFileInPlaceOfTheNullDeviceIsNotOpened) {
  Launch container = start(
      base_spec({"sh", "-c", "rm /dev/null; mknod /dev/null p; echo >/dev/stderr; sleep 100"}));
  ASSERT_TRUE(container.executed()) << container.failure();
  char byte = 0;
  ASSERT_EQ(::read(container.stderr_end.get(), &byte, 1), 1);
  oci::Process process = base_spec({"cat"}).process;
  Launch exec = launch(encode_exec(process, {}, {.target = container.pidfd.get()}).value(),
                       {.null_stdin = true});
  exec.wait_started();
  EXPECT_TRUE(exec.executed()) << exec.failure();
  EXPECT_EQ(exec.wait_exit(), 0) << "cat did not get end of file";
  container.kill(SIGKILL);
  container.wait_exit();
}

}  // namespace
}  // namespace berth::container::testing
