// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/spec.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <string>

#include "core/linux/capability.h"
#include "cri/spec/cgroup_reach.h"
#include "cri/spec/resources.h"
#include "cri/spec/seccomp_default.h"

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;
using oci::NamespaceType;

std::string path_of(const oci::Spec& spec, NamespaceType type) {
  const oci::Namespace* found = oci::find_namespace(spec.linux, type);
  if (found == nullptr) return "host";
  return found->path.empty() ? "own" : found->path;
}

oci::Spec spec_with(const v1::ContainerConfig& config, plugins::SandboxNamespaces namespaces = {}) {
  return spec_of({.config = config, .namespaces = namespaces, .open_files_max = 1'048'576}).value();
}

TEST(Spec, NamespacesAreTheSandboxsOrTheContainersOwn) {
  v1::ContainerConfig config;
  v1::LinuxContainerSecurityContext& security = *config.mutable_linux()->mutable_security_context();
  oci::Spec spec = spec_with(config, {.network = true, .ipc = true, .uts = true, .pid = true});
  for (const NamespaceType type :
       {NamespaceType::network, NamespaceType::ipc, NamespaceType::uts, NamespaceType::pid}) {
    EXPECT_EQ(path_of(spec, type), "berth:sandbox");
  }
  EXPECT_EQ(path_of(spec, NamespaceType::mount), "own");
  EXPECT_EQ(path_of(spec, NamespaceType::cgroup), "own");
  EXPECT_EQ(path_of(spec, NamespaceType::user), "host");

  spec = spec_with(config, {.network = false, .ipc = false, .uts = false, .pid = false});
  EXPECT_EQ(path_of(spec, NamespaceType::network), "host");
  EXPECT_EQ(path_of(spec, NamespaceType::pid), "own");

  security.mutable_namespace_options()->set_pid(v1::NamespaceMode::NODE);
  security.set_privileged(true);
  spec = spec_with(config);
  EXPECT_EQ(path_of(spec, NamespaceType::pid), "host");
  EXPECT_EQ(path_of(spec, NamespaceType::cgroup), "host");

  security.mutable_namespace_options()->set_pid(v1::NamespaceMode::TARGET);
  security.mutable_namespace_options()->set_target_id("abc");
  EXPECT_EQ(path_of(spec_with(config), NamespaceType::pid), "berth:container/abc");
}

TEST(Spec, ADeviceAndItsRuleAgree) {
  const v1::ContainerConfig config;
  FoundDevices found;
  found.nodes.push_back({"/dev/fuse", S_IFCHR | 0666, 10, 229, 0, 0});
  found.rules.push_back(rule_of(found.nodes.front(), "rw"));
  const oci::Spec spec = spec_of({.config = config, .devices = found}).value();
  ASSERT_EQ(spec.linux.devices.size(), 7U);
  EXPECT_EQ(spec.linux.devices.back().path, "/dev/fuse");
  const plugins::ContainerCgroup cgroup = cgroup_of(spec.linux.resources);
  EXPECT_FALSE(cgroup.privileged);
  EXPECT_EQ(cgroup.devices, std::vector<std::string>{"c 10:229 rw"});
}

TEST(Spec, APrivilegedContainerMayUseEveryDevice) {
  v1::ContainerConfig config;
  config.mutable_linux()->mutable_security_context()->set_privileged(true);
  config.mutable_linux()->mutable_security_context()->add_masked_paths("/proc/acpi");
  const oci::Spec spec = spec_with(config);
  EXPECT_TRUE(cgroup_of(spec.linux.resources).privileged);
  EXPECT_TRUE(spec.linux.masked_paths.empty());
}

TEST(Spec, LimitsComeThroughUnchanged) {
  v1::ContainerConfig config;
  v1::LinuxContainerResources& limits = *config.mutable_linux()->mutable_resources();
  limits.set_memory_limit_in_bytes(64 << 20);
  limits.set_cpu_quota(-1);
  limits.set_cpuset_cpus("0-1");
  limits.set_oom_score_adj(777);
  (*limits.mutable_unified())["memory.high"] = "1000000";
  const oci::Spec spec = spec_of({.config = config, .pids_limit = 99}).value();
  const plugins::Resources back = cgroup_of(spec.linux.resources).resources;
  EXPECT_EQ(back.memory_limit_in_bytes, 64 << 20);
  EXPECT_EQ(back.cpu_quota, -1);
  EXPECT_EQ(back.cpu_period, 0);
  EXPECT_EQ(back.cpuset_cpus, "0-1");
  EXPECT_EQ(back.pids_limit, 99);
  EXPECT_EQ(back.unified.at("memory.high"), "1000000");
  EXPECT_EQ(spec.process.oom_score_adj, 777);
}

TEST(Spec, OpenFilesHaveALimitWithinTheAgentsOwn) {
  const v1::ContainerConfig config;
  const oci::Spec wide = spec_with(config);
  ASSERT_EQ(wide.process.rlimits.size(), 1U);
  EXPECT_EQ(wide.process.rlimits[0].type, RLIMIT_NOFILE);
  EXPECT_EQ(wide.process.rlimits[0].soft, 1024U);
  EXPECT_EQ(wide.process.rlimits[0].hard, 524'288U);
  const oci::Spec narrow = spec_of({.config = config, .open_files_max = 512}).value();
  EXPECT_EQ(narrow.process.rlimits[0].soft, 512U);
  EXPECT_EQ(narrow.process.rlimits[0].hard, 512U);
}

TEST(Spec, TheReachOfAContainerIsTheLargerOneInDoubt) {
  using plugins::CgroupReach;
  v1::LinuxContainerSecurityContext security;
  EXPECT_EQ(cgroup_reach_of(security, 0, false), CgroupReach::user_namespace);
  security.mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  EXPECT_EQ(cgroup_reach_of(security, 0, false), CgroupReach::none);
  EXPECT_EQ(cgroup_reach_of(security, sys::capability_bit(CAP_SYS_ADMIN), false),
            CgroupReach::administrator);
  EXPECT_EQ(cgroup_reach_of(security, 0, true), CgroupReach::administrator);
}

}  // namespace
}  // namespace berth::cri
