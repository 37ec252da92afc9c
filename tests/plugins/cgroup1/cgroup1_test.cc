// SPDX-License-Identifier: Apache-2.0
// Claims about the contract of plugins/api/resources.h on the v1 hierarchies of this machine.
#include <sys/mman.h>

#include "tests/plugins/cgroup1/fixture.h"

namespace berth::plugins {
namespace {

TEST_F(Cgroup1Test, LimitsAreReadBackFromTheControlFiles) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare({.pod_id = "p",
                                      .container_id = "c",
                                      .resources = {.cpu_period = 50000,
                                                    .cpu_quota = 20000,
                                                    .cpu_shares = 512,
                                                    .memory_limit_in_bytes = 32 << 20,
                                                    .memory_swap_limit_in_bytes = 32 << 20,
                                                    .pids_limit = 17}}));
  ASSERT_TRUE(placed.ok()) << placed.error().message();
  const std::string path = flat("p", "c");
  EXPECT_EQ(sandbox_->read("cpu", path + "/cpu.shares"), "512");
  EXPECT_EQ(sandbox_->read("cpu", path + "/cpu.cfs_quota_us"), "20000");
  EXPECT_EQ(sandbox_->read("cpu", path + "/cpu.cfs_period_us"), "50000");
  EXPECT_EQ(sandbox_->read("memory", path + "/memory.limit_in_bytes"), std::to_string(32 << 20));
  EXPECT_EQ(sandbox_->read("memory", path + "/memory.memsw.limit_in_bytes"),
            std::to_string(32 << 20));
  EXPECT_EQ(sandbox_->read("pids", path + "/pids.max"), "17");
}

TEST_F(Cgroup1Test, PodWithoutLimitsHasNoGroupOfItsOwn) {
  const std::vector<std::string> before = sandbox_->snapshot();
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  EXPECT_EQ(sandbox_->snapshot(), before);
}

TEST_F(Cgroup1Test, PodLimitsHoldForItsContainers) {
  ASSERT_TRUE(
      run(plugin_->prepare_pod({.pod_id = "p", .resources = {.memory_limit_in_bytes = 1 << 24}}))
          .ok());
  ASSERT_TRUE(run(plugin_->prepare({.pod_id = "p", .container_id = "c"})).ok());
  EXPECT_EQ(sandbox_->read("memory", sandbox_->parent() + "/berth-p/memory.limit_in_bytes"),
            std::to_string(1 << 24));
  EXPECT_TRUE(sandbox_->exists("memory", nested("p", "c")));
  EXPECT_FALSE(sandbox_->exists("memory", flat("p", "c")));
  EXPECT_TRUE(sandbox_->exists("pids", flat("p", "c"))) << "no pod limit there";
}

TEST_F(Cgroup1Test, PlacedProcessIsInEveryHierarchyAndKillEndsIt) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare(
      {.pod_id = "p", .container_id = "c", .reach = CgroupReach::none, .devices = {}}));
  ASSERT_TRUE(placed.ok());
  PlacedProcess process(*placed);
  ASSERT_TRUE(process.placed());
  const std::string pid = std::to_string(process.pid());
  for (const char* controller : {"cpu", "memory", "pids", ""}) {
    EXPECT_EQ(sandbox_->read(controller, flat("p", "c") + "/cgroup.procs"), pid) << controller;
  }
  EXPECT_EQ(sandbox_->read("devices", sandbox_->parent() + "/default/cgroup.procs"), pid);
  EXPECT_EQ(run(plugin_->usage("p", "c"))->pids, 1u);

  ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
  EXPECT_TRUE(WIFSIGNALED(process.wait()));
  ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  EXPECT_FALSE(sandbox_->exists("memory", flat("p", "c")));
  EXPECT_FALSE(sandbox_->exists("", flat("p", "c")));
}

TEST_F(Cgroup1Test, CleanupOfALivingContainerIsRefusedAndOfAnUnknownOneHarmless) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare({.pod_id = "p", .container_id = "c"}));
  PlacedProcess process(*placed);
  const auto refused = run(plugin_->cleanup("p", "c"));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::failed_precondition));
  EXPECT_TRUE(run(plugin_->cleanup("p", "never-made")).ok());
  EXPECT_TRUE(run(plugin_->cleanup("never-made", "c")).ok());
  EXPECT_TRUE(run(plugin_->cleanup_pod("never-made")).ok());
  EXPECT_TRUE(run(plugin_->kill("p", "never-made")).ok());
}

TEST_F(Cgroup1Test, EverythingIsGoneAfterCleanupPod) {
  const std::vector<std::string> before = sandbox_->snapshot();
  ASSERT_TRUE(
      run(plugin_->prepare_pod({.pod_id = "p", .resources = {.cpu_shares = 100, .pids_limit = 9}}))
          .ok());
  for (const char* id : {"a", "b"}) {
    ASSERT_TRUE(
        run(plugin_->prepare({.pod_id = "p", .container_id = id, .privileged = *id == 'b'})).ok());
  }
  ASSERT_TRUE(run(plugin_->pod_placement("p")).ok());
  EXPECT_GT(sandbox_->snapshot().size(), before.size());
  for (const char* id : {"a", "b"}) ASSERT_TRUE(run(plugin_->cleanup("p", id)).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok()) << "again";
  EXPECT_EQ(sandbox_->snapshot(), before);
}

TEST_F(Cgroup1Test, KubeletsParentIsHonoured) {
  ASSERT_TRUE(
      run(plugin_->prepare_pod(
              {.pod_id = "p", .cgroup_parent = "/" + sandbox_->kubelet_parent(), .resources = {}}))
          .ok());
  ASSERT_TRUE(run(plugin_->prepare({.pod_id = "p", .container_id = "c"})).ok());
  EXPECT_TRUE(sandbox_->exists("memory", sandbox_->kubelet_parent() + "/berth-p.c"));
  EXPECT_TRUE(sandbox_->exists("", sandbox_->kubelet_parent() + "/berth-p.c"));
  EXPECT_TRUE(run(plugin_->placement("p", "c")).ok());
  ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  EXPECT_FALSE(sandbox_->exists("memory", sandbox_->kubelet_parent() + "/berth-p.c"));
  EXPECT_TRUE(sandbox_->exists("memory", sandbox_->kubelet_parent())) << "not ours to remove";
}

TEST_F(Cgroup1Test, BadInputLeavesNothingBehind) {
  const std::vector<std::string> before = sandbox_->snapshot();
  const auto escape = run(plugin_->prepare_pod({.pod_id = "p", .cgroup_parent = "/a/../.."}));
  EXPECT_TRUE(escape.error().is(Errc::invalid_argument));
  EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "../p"})).error().is(Errc::invalid_argument));
  const auto negative =
      run(plugin_->prepare_pod({.pod_id = "p", .resources = {.memory_limit_in_bytes = -9}}));
  EXPECT_TRUE(negative.error().is(Errc::invalid_argument));
  const auto device =
      run(plugin_->prepare({.pod_id = "p", .container_id = "c", .devices = {"c 1:3"}}));
  EXPECT_TRUE(device.error().is(Errc::invalid_argument));
  // The kernel refuses this value, because the CPU does not exist.
  const auto cpuset = run(
      plugin_->prepare({.pod_id = "p", .container_id = "c", .resources = {.cpuset_cpus = "4000"}}));
  ASSERT_FALSE(cpuset.ok());
  EXPECT_NE(cpuset.error().message().find("cpuset.cpus"), std::string::npos)
      << cpuset.error().message();
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  std::vector<std::string> after = sandbox_->snapshot();
  std::erase(after, sandbox_->at("cpuset", sandbox_->parent()));
  EXPECT_EQ(after, before);
}

TEST_F(Cgroup1Test, UpdateRaisesAndLowersALiveContainer) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  const auto limit = [](std::int64_t mebibytes) {
    return Resources{.memory_limit_in_bytes = mebibytes << 20,
                     .memory_swap_limit_in_bytes = mebibytes << 20};
  };
  auto placed = run(plugin_->prepare({.pod_id = "p", .container_id = "c", .resources = limit(32)}));
  PlacedProcess process(*placed);
  for (const std::int64_t mebibytes : {64, 16, 48}) {
    const auto updated = run(plugin_->update("p", "c", limit(mebibytes)));
    ASSERT_TRUE(updated.ok()) << updated.error().message();
    EXPECT_EQ(sandbox_->read("memory", flat("p", "c") + "/memory.limit_in_bytes"),
              std::to_string(mebibytes << 20));
  }
  // There was no cpuset group until now; the process is moved into the new one.
  ASSERT_TRUE(run(plugin_->update("p", "c", {.cpuset_cpus = "0"})).ok());
  EXPECT_EQ(sandbox_->read("cpuset", flat("p", "c") + "/cgroup.procs"),
            std::to_string(process.pid()));
  EXPECT_TRUE(run(plugin_->update("p", "c", {.cpu_quota = -7})).error().is(Errc::invalid_argument));
  EXPECT_FALSE(run(plugin_->update("p", "gone", limit(16))).ok());
  ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
}

TEST_F(Cgroup1Test, ProcessBeyondItsMemoryIsKilledAndUsageSaysSo) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare(
      {.pod_id = "p",
       .container_id = "c",
       .resources = {.memory_limit_in_bytes = 8 << 20, .memory_swap_limit_in_bytes = 8 << 20}}));
  EXPECT_FALSE(run(plugin_->usage("p", "c"))->oom_killed);
  PlacedProcess process(*placed, [] {
    constexpr std::size_t kSize = 32 << 20;
    void* const memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? 1 : 0;
  });
  const int status = process.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  auto usage = run(plugin_->usage("p", "c"));
  ASSERT_TRUE(usage.ok());
  EXPECT_TRUE(usage->oom_killed);
  EXPECT_GT(usage->cpu_ns, 0u);
}

// Tests the device group by opening a device: 0 on success, otherwise errno.
int open_device(const char* path, int flags) {
  const int fd = ::open(path, flags | O_CLOEXEC);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

TEST_F(Cgroup1Test, OnlyDefaultDevicesUnlessPrivilegedOrAskedFor) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  if (open_device("/dev/kmsg", O_RDONLY) != 0) GTEST_SKIP() << "no /dev/kmsg to ask for";
  const auto status_of = [this](ContainerCgroup container) {
    auto placed = run(plugin_->prepare(std::move(container)));
    EXPECT_TRUE(placed.ok());
    PlacedProcess process(*placed, [] {
      if (open_device("/dev/null", O_RDWR) != 0) return 90;
      return open_device("/dev/kmsg", O_RDONLY);
    });
    return WEXITSTATUS(process.wait());
  };
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "plain"}), EPERM);
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "priv", .privileged = true, .devices = {}}),
            0);
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "asked", .devices = {"c 1:11 r"}}), 0);
  // An exec process of the container is in the same device group.
  auto again = run(plugin_->placement("p", "plain"));
  PlacedProcess exec(*again, [] { return open_device("/dev/kmsg", O_RDONLY); });
  EXPECT_EQ(WEXITSTATUS(exec.wait()), EPERM);
}

}  // namespace
}  // namespace berth::plugins
