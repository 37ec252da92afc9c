// SPDX-License-Identifier: Apache-2.0
// Claims: recover() receives all ids that exist and removes all other cgroups below the agent's.
#include "tests/plugins/cgroup1/fixture.h"

namespace berth::plugins {
namespace {

TEST_F(Cgroup1Test, RecoverKeepsTheLivingKillsAndRemovesTheRest) {
  for (const char* pod : {"lives", "dead"}) {
    ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = pod})).ok());
  }
  const auto prepare = [this](const char* pod, const char* container) {
    return MUST(run(plugin_->prepare(
        {.pod_id = pod, .container_id = container, .resources = {.cpuset_cpus = "0"}})));
  };
  PlacedProcess kept(prepare("lives", "kept"));
  PlacedProcess lost(prepare("lives", "lost"));
  PlacedProcess orphan(prepare("dead", "c"));

  plugin_ = make_plugin();  // as after a restart of the agent
  ASSERT_TRUE(run(plugin_->recover({{.pod_id = "lives", .container_ids = {"kept"}}})).ok());
  EXPECT_EQ(::kill(kept.pid(), 0), 0);
  EXPECT_TRUE(WIFSIGNALED(lost.wait()));
  EXPECT_TRUE(WIFSIGNALED(orphan.wait()));
  const std::string memory = sandbox_->at("memory", sandbox_->parent());
  std::vector<std::string> left;
  for (const std::string& path : sandbox_->snapshot()) {
    if (path.starts_with(memory)) left.push_back(path.substr(memory.size()));
  }
  EXPECT_EQ(left, std::vector<std::string>{"/berth-lives.kept"});
  EXPECT_TRUE(sandbox_->exists("cpuset", flat("lives", "kept")));
  EXPECT_FALSE(sandbox_->exists("cpuset", flat("dead", "c")));
  EXPECT_FALSE(sandbox_->exists("", sandbox_->parent() + "/berth-dead"));
  EXPECT_TRUE(run(plugin_->placement("lives", "kept")).ok());
}

TEST_F(Cgroup1Test, SecondRecoverChangesNothing) {
  ASSERT_TRUE(run(plugin_->prepare_pod({.pod_id = "p"})).ok());
  ASSERT_TRUE(run(plugin_->prepare({.pod_id = "p", .container_id = "c"})).ok());
  const std::vector<std::string> before = sandbox_->snapshot();
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(run(plugin_->recover({{.pod_id = "p", .container_ids = {"c"}}})).ok());
    EXPECT_EQ(sandbox_->snapshot(), before);
  }
}

TEST_F(Cgroup1Test, RecoverOfAKubeletsParentLeavesOtherGroupsAlone) {
  const std::string parent = "/" + sandbox_->kubelet_parent();
  for (const char* pod : {"lives", "dead"}) {
    ASSERT_TRUE(
        run(plugin_->prepare_pod({.pod_id = pod, .cgroup_parent = parent, .resources = {}})).ok());
    ASSERT_TRUE(run(plugin_->prepare({.pod_id = pod, .container_id = "c", .devices = {}})).ok());
  }
  const std::string other_group = sandbox_->at("memory", sandbox_->kubelet_parent()) + "/other";
  ASSERT_TRUE(std::filesystem::create_directory(other_group));
  plugin_ = make_plugin();
  ASSERT_TRUE(
      run(plugin_->recover({{.pod_id = "lives", .cgroup_parent = parent, .container_ids = {"c"}}}))
          .ok());
  EXPECT_TRUE(std::filesystem::exists(other_group));
  EXPECT_TRUE(sandbox_->exists("memory", sandbox_->kubelet_parent() + "/berth-lives.c"));
  EXPECT_FALSE(sandbox_->exists("memory", sandbox_->kubelet_parent() + "/berth-dead.c"));
  EXPECT_TRUE(run(plugin_->placement("lives", "c")).ok()) << "the chosen parent is known again";
}

TEST_F(Cgroup1Test, DeviceRulesThatACrashLeftHalfWrittenAreCompleted) {
  const std::string list = sandbox_->parent() + "/default/devices.list";
  const std::string complete = sandbox_->read("devices", list);
  {
    std::ofstream(sandbox_->at("devices", sandbox_->parent() + "/default/devices.deny"))
        << "c 1:3 rwm";
  }
  ASSERT_NE(sandbox_->read("devices", list), complete);
  ASSERT_TRUE(run(plugin_->recover({})).ok());
  EXPECT_EQ(sandbox_->read("devices", list), complete);
}

}  // namespace
}  // namespace berth::plugins
