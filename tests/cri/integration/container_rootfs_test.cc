// SPDX-License-Identifier: Apache-2.0
// A container's files: root filesystem, volumes, the pod's files, devices, masked paths.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Rootfs : public Node {
 protected:
  std::string volume() {
    const std::string path = dir("BERTH_NODE_DIR") + "/volume";
    std::filesystem::create_directories(path);
    std::ofstream(path + "/given") << "host\n";
    return path;
  }
  static v1::LinuxContainerSecurityContext& security(v1::ContainerConfig& config) {
    return *config.mutable_linux()->mutable_security_context();
  }
};

TEST_F(Rootfs, LayersAreMergedAndWritesAreTheContainersOwn) {
  const std::string pod = run_pod();
  EXPECT_EQ(printed(pod,
                    "cat /etc/motd; ls /opt/mixed; test -e /etc/lower-only || echo gone; "
                    "echo x >/written; ls /written"),
            "upper\nupper\ngone\n/written\n");
  EXPECT_EQ(printed(pod, "ls /written 2>/dev/null || echo none"), "none\n");
}

TEST_F(Rootfs, ReadOnlyRootRefusesWritesAndVolumesStayWritable) {
  const std::string path = volume();
  const std::string text =
      printed(run_pod(), "touch /x 2>/dev/null || echo refused; touch /data/made && echo written",
              [&](v1::ContainerConfig& config) {
                security(config).set_readonly_rootfs(true);
                v1::Mount* mount = config.add_mounts();
                mount->set_host_path(path);
                mount->set_container_path("/data");
              });
  EXPECT_EQ(text, "refused\nwritten\n");
  EXPECT_TRUE(std::filesystem::exists(path + "/made"));
}

TEST_F(Rootfs, ReadOnlyVolumeRefusesWritesAndStatusListsIt) {
  const std::string path = volume();
  const auto tweak = [&](v1::ContainerConfig& config) {
    v1::Mount* mount = config.add_mounts();
    mount->set_host_path(path);
    mount->set_container_path("/deep/er/data");
    mount->set_readonly(true);
  };
  const std::string id = start_script(
      run_pod(), "cat /deep/er/data/given; touch /deep/er/data/no || echo refused", tweak);
  wait_exited(id);
  EXPECT_EQ(stdout_of(id), "host\nrefused\n");
  ASSERT_EQ(status(id).mounts_size(), 1);
  EXPECT_EQ(status(id).mounts(0).container_path(), "/deep/er/data");
}

TEST_F(Rootfs, VolumeMayBeAFileAndAMissingHostDirectoryIsMade) {
  const std::string path = volume();
  const std::string text =
      printed(run_pod(), "cat /etc/given; ls -d /fresh", [&](v1::ContainerConfig& config) {
        v1::Mount* file = config.add_mounts();
        file->set_host_path(path + "/given");
        file->set_container_path("/etc/given");
        v1::Mount* fresh = config.add_mounts();
        fresh->set_host_path(path + "/a/b");
        fresh->set_container_path("/fresh");
      });
  EXPECT_EQ(text, "host\n/fresh\n");
  EXPECT_TRUE(std::filesystem::is_directory(path + "/a/b"));
}

TEST_F(Rootfs, PodsNameAndResolverAreInItsFiles) {
  const std::string pod = run_pod([](v1::PodSandboxConfig& config) {
    config.set_hostname("harbour");
    config.mutable_dns_config()->add_servers("10.0.0.10");
    config.mutable_dns_config()->add_searches("tests.svc");
    config.mutable_dns_config()->add_options("ndots:5");
  });
  EXPECT_EQ(printed(pod, "hostname; cat /etc/hostname; echo $HOSTNAME"),
            "harbour\nharbour\nharbour\n");
  EXPECT_EQ(printed(pod, "cat /etc/resolv.conf"),
            "search tests.svc\nnameserver 10.0.0.10\noptions ndots:5\n");
  const std::string hosts = printed(pod, "cat /etc/hosts");
  EXPECT_NE(hosts.find("127.0.0.1\tlocalhost"), std::string::npos) << hosts;
  EXPECT_NE(hosts.find("harbour"), std::string::npos) << hosts;
}

// The agent's own state is on a tmpfs, and an agent that cannot write it cannot do anything. Nor
// does one pod fill what another needs.
TEST_F(Rootfs, WhatIsWrittenToThePodsFilesTakesNoSpaceButThePodsOwn) {
  const auto state_free = [] { return std::filesystem::space(std::getenv("BERTH_STATE")).free; };
  const auto before = state_free();
  const std::string pod = run_pod();
  const std::string id =
      start_script(pod, "dd if=/dev/zero bs=1M count=100 >>/etc/hostname; echo full; sleep 1000");
  EXPECT_TRUE(wait_until([&] { return stdout_of(id) == "full\n"; }, 20)) << stdout_of(id);
  EXPECT_GT(state_free() + (24 << 20), before);
  EXPECT_EQ(printed(run_pod(), "echo more >>/etc/hosts && tail -n 1 /etc/hosts"), "more\n");
  // A pod that is in its own way goes like any other.
  EXPECT_EQ(printed(pod, "echo fine"), "fine\n");
}

TEST_F(Rootfs, ContainersOfAPodShareItsFiles) {
  const std::string pod = run_pod();
  EXPECT_EQ(printed(pod, "echo 10.1.2.3 friend >>/etc/hosts"), "");
  EXPECT_EQ(printed(pod, "tail -n 1 /etc/hosts"), "10.1.2.3 friend\n");
  const std::string text =
      printed(pod, "echo x 2>/dev/null >>/etc/hosts || echo refused",
              [](v1::ContainerConfig& config) { security(config).set_readonly_rootfs(true); });
  EXPECT_EQ(text, "refused\n");
}

TEST_F(Rootfs, DevicesAndKernelFilesystemsAreThere) {
  const std::string text =
      printed(run_pod(),
              "for d in null zero full random urandom tty; do test -c /dev/$d && echo $d; done; "
              "echo x >/dev/null; ls -d /dev/pts /dev/shm /dev/mqueue /dev/fd; "
              "readlink /dev/stdout; touch /dev/shm/x && echo shm; "
              "test -r /proc/version && echo proc; test -d /sys/class && echo sys");
  EXPECT_EQ(text,
            "null\nzero\nfull\nrandom\nurandom\ntty\n/dev/fd\n/dev/mqueue\n/dev/pts\n/dev/shm\n"
            "/proc/self/fd/1\nshm\nproc\nsys\n");
}

// 5:1 is whatever console the machine has. A container that has a terminal finds it at /dev/console
// as well, which is its own pts mounted there.
TEST_F(Rootfs, TheMachinesConsoleIsRefusedAndATerminalsConsoleIsItsOwn) {
  EXPECT_EQ(printed(run_pod(), "mknod /console c 5 1 && (: >/console) 2>&1 || true"),
            "sh: can't create /console: Operation not permitted\n");
  const std::string id =
      start_script(run_pod(), "echo to the console >/dev/console; stat -c %t:%T /dev/console",
                   [](v1::ContainerConfig& config) { config.set_tty(true); });
  EXPECT_EQ(wait_exited(id).exit_code(), 0);
  EXPECT_NE(stdout_of(id).find("to the console\r\n88:0\r\n"), std::string::npos) << stdout_of(id);
}

TEST_F(Rootfs, OwnCgroupsCanBeReadAndNotWritten) {
  const auto limited = [](v1::ContainerConfig& config) {
    config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64 << 20);
  };
  // Hybrid and v1 machines have a directory for each hierarchy, the others one for all.
  const std::string text = printed(run_pod(),
                                   "cd /sys/fs/cgroup; f=memory/memory.limit_in_bytes; "
                                   "test -e $f || f=memory.max; cat $f; "
                                   "echo 1 2>/dev/null >$f || echo refused; "
                                   "mkdir mine 2>/dev/null || echo refused; "
                                   "grep -x 1 ${f%memory.*}cgroup.procs",
                                   limited);
  EXPECT_EQ(text, "67108864\nrefused\nrefused\n1\n");
}

TEST_F(Rootfs, ContainersOfAPodShareShm) {
  const std::string pod = run_pod();
  start_script(pod, "echo shared >/dev/shm/word; sleep 1000");
  EXPECT_EQ(printed(pod, "until test -s /dev/shm/word; do sleep 0.05; done; cat /dev/shm/word"),
            "shared\n");
}

TEST_F(Rootfs, MaskedPathsAreEmptyAndReadOnlyPathsRefuseWrites) {
  const std::string text = printed(run_pod(),
                                   "cat /proc/timer_list | wc -c; ls /sys/firmware | wc -l; "
                                   "echo 1 2>/dev/null >/proc/sys/kernel/shmall || echo refused",
                                   [](v1::ContainerConfig& config) {
                                     security(config).add_masked_paths("/proc/timer_list");
                                     security(config).add_masked_paths("/sys/firmware");
                                     security(config).add_masked_paths("/proc/there/is/none");
                                     security(config).add_readonly_paths("/proc/sys");
                                   });
  EXPECT_EQ(text, "0\n0\nrefused\n");
}

TEST_F(Rootfs, HostsMountTableDoesNotGrowWithPods) {
  const std::string before = read_file("/proc/self/mounts");
  const std::string pod = run_pod();
  start(pod, {"sleep", "1000"});
  EXPECT_EQ(read_file("/proc/self/mounts"), before);
}

TEST_F(Rootfs, DevicesOfTheRequestAreThereUnderTheirNewNamesAndMayBeUsed) {
  EXPECT_EQ(
      printed(run_pod(), "echo x 2>&1 >/dev/mine/full; head -c 2 /dev/mine/zero | od -An -tx1",
              [](v1::ContainerConfig& config) {
                device_at("/dev/full", "/dev/mine/full")(config);
                device_at("/dev/zero", "/dev/mine/zero", "r")(config);
              }),
      "sh: write error: No space left on device\n 00 00\n");
}

}  // namespace
}  // namespace berth::node_test
