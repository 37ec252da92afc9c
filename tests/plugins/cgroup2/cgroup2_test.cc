// SPDX-License-Identifier: Apache-2.0
// Claims about the contract of plugins/api/resources.h on cgroup v2. On a hybrid machine the v2
// hierarchy has no cpu, memory or pids controller; tests that need one are skipped there.
#include "plugins/cgroup2/cgroup2.h"

#include <sys/mman.h>

#include <memory>

#include "tests/plugins/cgroup_sandbox.h"

namespace berth::plugins {
namespace {

class Cgroup2Test : public testing::Test {
 protected:
  void SetUp() override {
    if (!cgroups_usable()) GTEST_SKIP() << "no writable cgroup hierarchy";
    sandbox_ = std::make_unique<CgroupSandbox>();
    if (sandbox_->at("", "").empty()) GTEST_SKIP() << "cgroup v2 is not mounted";
    for (const std::string& name : split_words(sandbox_->read("", "cgroup.controllers"))) {
      if (name == "memory") has_controllers_ = true;
    }
    ring_ = MUST(Ring::create());
    plugin_ = make_plugin();
    ASSERT_TRUE(run(plugin_->recover({})).ok());
  }

  // Only controllers that a hybrid root does not have, because enabling one changes the machine.
  std::unique_ptr<Cgroup2> make_plugin() {
    return MUST(Cgroup2::create(
        *ring_, log_,
        {.parent = sandbox_->parent(), .controllers = {"cpu", "cpuset", "memory", "pids"}},
        sandbox_->mounts()));
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return ring_->run_until(std::move(task));
  }
  std::string path(const std::string& pod, const std::string& container) const {
    return sandbox_->parent() + "/berth-" + pod + "/" + container;
  }
  std::vector<std::string> groups() const {
    std::vector<std::string> ours;
    const std::string top = sandbox_->at("", sandbox_->parent());
    for (const std::string& group : sandbox_->snapshot()) {
      if (group.starts_with(top)) ours.push_back(group.substr(top.size()));
    }
    return ours;
  }

  Log log_{LogLevel::error};
  std::unique_ptr<CgroupSandbox> sandbox_;
  std::unique_ptr<Ring> ring_;
  std::unique_ptr<Cgroup2> plugin_;
  bool has_controllers_ = false;
};

// For hybrid machines, on which v1 hierarchies are mounted too.
TEST_F(Cgroup2Test, NoProcessStaysInTheRootOfAV1HierarchyAndNothingIsLeftThere) {
  const std::vector<std::string> before = sandbox_->snapshot();
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  for (const CgroupReach reach : {CgroupReach::none, CgroupReach::administrator}) {
    auto placed = run(plugin_->prepare(
        {.pod_id = "p", .container_id = "c", .resources = {}, .reach = reach, .devices = {}}));
    ASSERT_TRUE(placed.ok()) << placed.error().message();
    auto init = run(plugin_->pod_placement("p"));
    ASSERT_TRUE(init.ok()) << init.error().message();
    for (const Placement* placement : {&*placed, &*init}) {
      PlacedProcess process(*placement);
      for (const auto& [hierarchy, group] : groups_of(process.pid())) {
        EXPECT_NE(group.find("/" + sandbox_->parent() + "/"), std::string::npos)
            << hierarchy << " " << group;
      }
    }
    plugin_ = make_plugin();
    ASSERT_TRUE(run(plugin_->recover({{.pod_id = "p", .container_ids = {"c"}}})).ok());
    EXPECT_TRUE(run(plugin_->placement("p", "c")).ok());
    ASSERT_TRUE(run(plugin_->recover({{.pod_id = "p", .container_ids = {}}})).ok());
    EXPECT_FALSE(run(plugin_->placement("p", "c")).ok());
  }
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  EXPECT_EQ(sandbox_->snapshot(), before);
}

TEST_F(Cgroup2Test, PlacedProcessIsKilledAndItsGroupRemoved) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare({.pod_id = "p", .container_id = "c"}));
  ASSERT_TRUE(placed.ok()) << placed.error().message();
  PlacedProcess process(*placed);
  ASSERT_TRUE(process.placed());
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/cgroup.procs"), std::to_string(process.pid()));
  auto refused = run(plugin_->cleanup("p", "c"));
  EXPECT_TRUE(!refused.ok() && refused.error().is(Errc::failed_precondition));
  ASSERT_TRUE(run(plugin_->kill("p", "c")).ok());
  EXPECT_TRUE(WIFSIGNALED(process.wait()));
  ASSERT_TRUE(run(plugin_->cleanup("p", "c")).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok());
  ASSERT_TRUE(run(plugin_->cleanup_pod("p")).ok()) << "again";
  EXPECT_TRUE(groups().empty());
}

TEST_F(Cgroup2Test, LimitsAreReadBack) {
  if (!has_controllers_) GTEST_SKIP() << "memory is not on cgroup v2 here";
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p", .resources = {.pids_limit = 99}})).ok());
  const Resources resources{.cpu_period = 50000,
                            .cpu_quota = 20000,
                            .cpu_shares = 1024,
                            .memory_limit_in_bytes = 32 << 20,
                            .memory_swap_limit_in_bytes = 32 << 20,
                            .pids_limit = 17,
                            .unified = {{"memory.high", "16777216"}}};
  auto placed = run(plugin_->prepare({.pod_id = "p", .container_id = "c", .resources = resources}));
  ASSERT_TRUE(placed.ok()) << placed.error().message();
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/cpu.weight"), "100");
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/cpu.max"), "20000 50000");
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/memory.max"), std::to_string(32 << 20));
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/memory.high"), "16777216");
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/pids.max"), "17");
  EXPECT_EQ(sandbox_->read("", sandbox_->parent() + "/berth-p/pids.max"), "99");
  ASSERT_TRUE(run(plugin_->update("p", "c", {.cpu_quota = -1, .pids_limit = 5})).ok());
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/cpu.max"), "max 50000");
  EXPECT_EQ(sandbox_->read("", path("p", "c") + "/pids.max"), "5");
}

TEST_F(Cgroup2Test, ProcessBeyondItsMemoryIsKilledAndUsageSaysSo) {
  if (!has_controllers_) GTEST_SKIP() << "memory is not on cgroup v2 here";
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  auto placed = run(plugin_->prepare(
      {.pod_id = "p",
       .container_id = "c",
       .resources = {.memory_limit_in_bytes = 8 << 20, .memory_swap_limit_in_bytes = 8 << 20}}));
  ASSERT_TRUE(placed.ok()) << placed.error().message();
  PlacedProcess process(*placed, [] {
    void* const memory = ::mmap(nullptr, 32 << 20, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return memory == MAP_FAILED ? 1 : 0;
  });
  EXPECT_TRUE(WIFSIGNALED(process.wait()));
  EXPECT_TRUE(run(plugin_->usage("p", "c"))->oom_killed);
}

TEST_F(Cgroup2Test, LimitWithoutItsControllerNamesItAndLeavesNothing) {
  if (has_controllers_) GTEST_SKIP() << "every controller is here";
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  const std::vector<std::string> before = groups();
  auto refused = run(plugin_->prepare(
      {.pod_id = "p", .container_id = "c", .resources = {.memory_limit_in_bytes = 8 << 20}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::failed_precondition));
  EXPECT_NE(refused.error().message().find("memory.max"), std::string::npos)
      << refused.error().message();
  EXPECT_EQ(groups(), before);
}

TEST_F(Cgroup2Test, BadInputIsRefusedBeforeAnythingIsMade) {
  EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "a/b"})).error().is(Errc::invalid_argument));
  EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "p", .cgroup_parent = "/../x"}))
                  .error()
                  .is(Errc::invalid_argument));
  EXPECT_TRUE(run(plugin_->prepare_pod({.pod_id = "p", .resources = {.pids_limit = -3}}))
                  .error()
                  .is(Errc::invalid_argument));
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  EXPECT_TRUE(run(plugin_->prepare({.pod_id = "p", .container_id = "c", .devices = {"z 1"}}))
                  .error()
                  .is(Errc::invalid_argument));
  EXPECT_EQ(groups(), std::vector<std::string>{"/berth-p"});
  EXPECT_TRUE(run(plugin_->cleanup("p", "unknown")).ok());
  EXPECT_TRUE(run(plugin_->kill("unknown", "unknown")).ok());
}

int open_device(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  ::close(fd);
  return 0;
}

TEST_F(Cgroup2Test, DeviceProgramAllowsDefaultsAndRequestedDevices) {
  if (open_device("/dev/kmsg") != 0) GTEST_SKIP() << "no /dev/kmsg to ask for";
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  const auto status_of = [this](ContainerCgroup container) {
    auto placed = run(plugin_->prepare(std::move(container)));
    EXPECT_TRUE(placed.ok()) << placed.error().message();
    PlacedProcess process(
        *placed, [] { return open_device("/dev/zero") == 0 ? open_device("/dev/kmsg") : 90; });
    return WEXITSTATUS(process.wait());
  };
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "plain"}), EPERM);
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "priv", .privileged = true}), 0);
  EXPECT_EQ(status_of({.pod_id = "p", .container_id = "asked", .devices = {"c 1:11 r"}}), 0);
}

TEST_F(Cgroup2Test, RecoverKeepsTheLivingKillsTheRestAndChangesNothingTheSecondTime) {
  const auto prepare = [this](const char* pod, const char* container) {
    return MUST(run(plugin_->prepare({.pod_id = pod, .container_id = container})));
  };
  for (const char* pod : {"lives", "dead"})
    ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = pod})).ok());
  PlacedProcess kept(prepare("lives", "kept"));
  PlacedProcess lost(prepare("lives", "lost"));
  PlacedProcess orphan(prepare("dead", "c"));
  plugin_ = make_plugin();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(run(plugin_->recover({{.pod_id = "lives", .container_ids = {"kept"}}})).ok());
    EXPECT_EQ(groups(), (std::vector<std::string>{"/berth-lives", "/berth-lives/kept"}));
  }
  EXPECT_EQ(::kill(kept.pid(), 0), 0);
  EXPECT_TRUE(WIFSIGNALED(lost.wait()));
  EXPECT_TRUE(WIFSIGNALED(orphan.wait()));
}

}  // namespace
}  // namespace berth::plugins
