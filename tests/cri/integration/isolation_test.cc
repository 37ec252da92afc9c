// SPDX-License-Identifier: Apache-2.0
// The invariants of docs/SECURITY.md on real containers of the real programs: what a process of a
// container holds, sees and shares, in every mode, as container and as exec.
#include <cstdlib>
#include <thread>

#include "tests/cri/integration/isolation_fixture.h"

namespace berth::node_test {
namespace {

TEST_F(Isolation, ProcessesHoldTheirStreamsOnly) {
  for (const Mode& mode : kModes) {
    SCOPED_TRACE(mode.name);
    const std::string id = sleeper(mode);
    ASSERT_FALSE(id.empty());
    const std::string process = "/proc/" + std::to_string(pid_of(id));
    EXPECT_EQ(numbers_in(process + "/fd"), (std::set<std::string>{"0", "1", "2"}));
    expect_own_devices(process);
    const auto ran = exec(id, "ls /proc/$$/fd; stat -Lc %d:%i /proc/self/fd/0; true");
    ASSERT_TRUE(ran.ok()) << ran.text();
    // Also that its /proc is one of its own PID namespace: $$ is a number in that.
    EXPECT_EQ(ran.value.stdout(), "0\n1\n2\n" + identity(process + "/root/dev/null") + "\n")
        << ran.value.stderr();
    EXPECT_EQ(ran.value.stdout().find(identity("/dev/null")), std::string::npos);
    remove_all_pods();
  }
}

// What a process with every look into its PID namespace sees of the others in it: its ancestors and
// neighbours, a process that is being made among them.
TEST_F(Isolation, ProcessesSeenFromInsideHoldTheirStreamsOnly) {
  for (const Mode& mode : kModes) {
    if (mode.pid == v1::NamespaceMode::NODE) continue;  // sees the host's
    SCOPED_TRACE(mode.name);
    const std::string id = sleeper(mode);
    std::thread neighbour([&id] {
      for (int i = 0; i < 20; ++i) exec(id, "true");
    });
    for (int i = 0; i < 5; ++i) {
      // "PID fd NUMBER TARGET", but for the listing process itself, which has its directory open.
      const auto ran = exec(id,
                            "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] && continue; "
                            "for f in $(ls $p/fd 2>/dev/null); do t=$(readlink $p/fd/$f) && "
                            "echo \"$(cat $p/comm) $f $t\"; done; done; true");
      ASSERT_TRUE(ran.ok()) << ran.text();
      std::istringstream lines(ran.value.stdout());
      for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name, number, target;
        words >> name >> number >> target;
        const bool is_stream = number == "0" || number == "1" || number == "2";
        const bool is_own = target.rfind("socket:", 0) == 0 || target.rfind("pipe:", 0) == 0 ||
                            target == "/bin/busybox" || target == "/bin/true";
        EXPECT_TRUE(is_stream || is_own) << line;
        EXPECT_NE(name, "berth-pod-init") << line;
      }
    }
    neighbour.join();
    remove_all_pods();
  }
}

TEST_F(Isolation, StreamsOfAContainerChangeNothingOfTheHost) {
  struct stat before {};
  ASSERT_EQ(::stat("/dev/null", &before), 0);
  const std::string id = sleeper(kModes[0]);
  exec(id, "chmod 0600 /proc/1/fd/* /proc/self/fd/*; chown 1:1 /proc/1/fd/* /proc/self/fd/*");
  struct stat after {};
  ASSERT_EQ(::stat("/dev/null", &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
}

// A mount can be made writable again by a container with CAP_SYS_ADMIN, and then changes what other
// pods see. What two pods may share: control groups, whose root is each container's own, and file
// systems with nothing but immutable inodes.
TEST_F(Isolation, PodsShareNoWritableFileSystem) {
  for (const Mode& mode : kModes) {
    if (mode.target) continue;
    SCOPED_TRACE(mode.name);
    const std::string first = "/proc/" + std::to_string(pid_of(sleeper(mode)));
    const std::string second = "/proc/" + std::to_string(pid_of(sleeper(mode)));
    const auto shared = writable_superblocks(second);
    for (const auto& [device, what] : writable_superblocks(first)) {
      if (!shared.contains(device)) continue;
      const bool is_cgroup = what.rfind("cgroup", 0) == 0;
      // KERNEL 6.15: before, the pod's own files lie on the node's disk (cri/sandbox/files.h).
      if (what == "tmpfs /etc/resolv.conf" || what == "ext4 /etc/resolv.conf") continue;
      EXPECT_TRUE(is_cgroup || what == "tmpfs /sys/fs/cgroup") << device << " " << what;
      if (is_cgroup) continue;
      std::ofstream file(first + "/root/sys/fs/cgroup/made");
      EXPECT_FALSE(file.is_open());
    }
    remove_all_pods();
  }
}

TEST_F(Isolation, ContainerWithSysAdminChangesNoMaskAndNoViewOfOthers) {
  const ContainerTweak tweak = [](v1::ContainerConfig& config) {
    tweak_of(kModes[0])(config);
    v1::LinuxContainerSecurityContext* security =
        config.mutable_linux()->mutable_security_context();
    security->mutable_capabilities()->add_add_capabilities("SYS_ADMIN");
    security->mutable_seccomp()->set_profile_type(v1::SecurityProfile::Unconfined);
  };
  const std::string list =
      "ls -A /sys/firmware; cat /proc/keys /proc/timer_list; "
      "stat -c %a:%u /sys/firmware /proc/keys; ls -A /sys/fs/cgroup";
  const std::string first = run_pod();
  const std::string before = printed(first, list, tweak);
  const std::string hostile =
      "for p in /sys/firmware /proc/keys /proc/timer_list /sys/fs/cgroup; do "
      "mount -o remount,rw $p; mount -o remount,bind,rw $p; chmod 777 $p; chown 9 $p; "
      "touch $p/made; mkdir $p/dir; echo made >$p; done; true";
  printed(first, hostile, tweak);
  EXPECT_EQ(printed(first, list, tweak), before) << "in its own pod";
  EXPECT_EQ(printed(run_pod(), list, tweak), before) << "in another pod";
}

// How many starts a race gets; fewer on an emulated machine.
int starts_of(int usual) {
  const char* const text = std::getenv("BERTH_ISOLATION_STARTS");
  return text == nullptr ? usual : std::atoi(text);
}

class ProgramPaths : public Isolation {
 protected:
  // Everything of the keeper's file that a container could change, and of what runs from it.
  static std::string keeper_file() {
    struct stat info {};
    const std::string path = fs::path(cli_program()).parent_path().string() + "/berth-keeper";
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " " +
           std::to_string(info.st_ctim.tv_sec) + "." + std::to_string(info.st_ctim.tv_nsec);
  }

  void expect_refused(const Mode& mode, const std::vector<std::string>& command) {
    const std::string pod = pod_of(mode);
    const std::string id = create(pod, command, tweak_of(mode));
    const auto started = try_start(id);
    EXPECT_FALSE(started.ok()) << command[0];
    EXPECT_NE(started.text().find(command[0]), std::string::npos) << started.text();
    EXPECT_EQ(stdout_of(id), "") << "something ran";
    remove_pod(pod);
  }
};

TEST_F(ProgramPaths, AreNeverTheKeepersAndNeverAnotherRoots) {
  const std::string before = keeper_file();
  for (const Mode& mode : kModes) {
    if (mode.target || mode.no_log || mode.tty) continue;
    SCOPED_TRACE(mode.name);
    expect_refused(mode, {"/proc/self/exe", "--help"});
    expect_refused(mode, {"/proc/thread-self/exe", "--help"});
    for (const int fd : {0, 1, 2, 3, 10}) {
      expect_refused(mode, {"/proc/self/fd/" + std::to_string(fd)});
      expect_refused(mode, {"/proc/self/fd/" + std::to_string(fd) + "/1/root/bin/true"});
    }
    remove_all_pods();
    const std::string id = sleeper(mode);
    const std::string directory = mode.restricted ? "/tmp" : "/root";
    std::string script = "mkdir -p " + directory + "; cd " + directory + " && ";
    script +=
        "printf '#!/proc/self/exe --help\\n' >exe; printf '#!/proc/self/fd/10/1/root/bin/sh\\n' "
        ">fd; ln -s /proc/self/exe link; chmod +x exe fd";
    const auto made = exec(id, script);
    ASSERT_EQ(made.value.exit_code(), 0) << made.text() << made.value.stderr();
    std::vector<std::string> programs = {"/proc/self/exe", directory + "/exe", directory + "/fd",
                                         directory + "/link"};
    for (int fd = 0; fd < 64; ++fd) programs.push_back("/proc/self/fd/" + std::to_string(fd));
    for (const std::string& program : programs) {
      v1::ExecSyncRequest request;
      request.set_container_id(id);
      request.add_cmd(program);
      const auto ran = call(&Runtime::ExecSync, request);
      EXPECT_FALSE(ran.ok()) << program << ": " << ran.value.stdout();
      EXPECT_NE(ran.text().find(program), std::string::npos) << ran.text();
    }
    remove_all_pods();
  }
  EXPECT_EQ(keeper_file(), before);
}

// A directory of the host that two containers have as /dev.
class SharedDev : public Isolation {
 protected:
  void SetUp() override {
    Isolation::SetUp();
    fs::create_directories(directory_);
    for (const char* name : {"null", "zero", "full", "random", "urandom", "tty"}) {
      fs::remove(directory_ + "/" + name);
    }
  }
  void TearDown() override {
    Isolation::TearDown();
    fs::remove_all(directory_);
  }

  ContainerTweak with_volume(const std::string& path) const {
    return [this, path](v1::ContainerConfig& config) {
      tweak_of(kModes[0])(config);
      v1::Mount* mount = config.add_mounts();
      mount->set_host_path(directory_);
      mount->set_container_path(path);
    };
  }

  const std::string directory_ = dir("BERTH_NODE_DIR") + "/shared-dev";
};

TEST_F(SharedDev, SwappedNodesNeverUncoverAMask) {
  const std::string core_pattern = read_file("/proc/sys/kernel/core_pattern");
  const std::string pod = run_pod();
  start_script(pod,
               "cd /shared; while :; do rm -f null; ln -s /proc/sys/kernel/core_pattern null; "
               "rm -f null; mknod null c 1 3; done",
               with_volume("/shared"));
  int ran = 0;
  for (int i = 0; i < starts_of(100); ++i) {
    const std::string id =
        create(pod, {"sh", "-c", "cat /proc/keys /proc/timer_list; echo '|x' >/proc/keys"},
               with_volume("/dev"));
    // A node that comes and goes may fail the start; it must not do anything else.
    if (try_start(id).ok()) {
      wait_exited(id);
      for (const LogLine& line : log_of(id)) {
        EXPECT_EQ(line.stream, "stderr") << line.text;
      }
      ++ran;
    }
    remove(id);
  }
  EXPECT_GT(ran, 0);
  EXPECT_EQ(read_file("/proc/sys/kernel/core_pattern"), core_pattern);
}

TEST_F(SharedDev, SwappedMountTargetsChangeNothingOutside) {
  const std::string victim = dir("BERTH_NODE_DIR") + "/swap-victim";
  fs::create_directories(victim);
  fs::create_directories(directory_ + "/inner");
  const std::string pod = run_pod();
  start_script(pod,
               "cd /shared; while :; do rm -rf target; ln -s " + victim +
                   " target; rm -f target; ln -s /proc/self/fd/3 target; rm -f target; "
                   "ln -s ../../../../../.." +
                   victim + " target; rm -f target; mkdir -p target; done",
               with_volume("/shared"));
  for (int i = 0; i < starts_of(160); ++i) {
    const std::string id = create(pod, {"sh", "-c", "true"}, [&](v1::ContainerConfig& config) {
      with_volume("/shared")(config);
      v1::Mount* mount = config.add_mounts();
      mount->set_host_path(directory_ + "/inner");
      mount->set_container_path("/shared/target/deep/er");
    });
    if (try_start(id).ok()) wait_exited(id);
    remove(id);
  }
  EXPECT_TRUE(fs::is_empty(victim)) << "the host was written to";
  fs::remove_all(victim);
}

TEST_F(Isolation, MoreMountsThanOneMessageHasDescriptorsFor) {
  const std::string source = dir("BERTH_NODE_DIR") + "/many";
  fs::create_directories(source);
  const std::string pod = run_pod();
  const std::string text = printed(pod, "grep -c ' /many/' /proc/self/mountinfo",
                                   [&source](v1::ContainerConfig& config) {
                                     for (int i = 0; i < 300; ++i) {
                                       v1::Mount* mount = config.add_mounts();
                                       mount->set_host_path(source);
                                       mount->set_container_path("/many/" + std::to_string(i));
                                     }
                                   });
  EXPECT_EQ(text, "300\n");
  fs::remove_all(source);
}

}  // namespace
}  // namespace berth::node_test
