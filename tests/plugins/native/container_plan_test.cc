// SPDX-License-Identifier: Apache-2.0
// Translation of a specification into the input of a launch plan.
#include "plugins/native/container_plan.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "core/linux/mount.h"
#include "plugins/native/mount_options.h"
#include "plugins/native/sandbox_descriptors.h"
#include "plugins/native/sandbox_setup.h"

namespace berth::native {
namespace {

using container::PlanNamespaceMode;

struct OptionsCase {
  const char* what;
  std::string type;
  std::vector<std::string> options;
  MountOptions expected;
};

TEST(MountOptions, AreTranslatedAsMountReadsThem) {
  const OptionsCase cases[] = {
      {"none", "tmpfs", {}, {}},
      {"attributes",
       "proc",
       {"nosuid", "noexec", "nodev"},
       {.flags = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV}},
      {"the later one wins", "tmpfs", {"ro", "noexec", "rw"}, {.flags = MOUNT_ATTR_NOEXEC}},
      {"one access time mode",
       "tmpfs",
       {"noatime", "strictatime"},
       {.flags = MOUNT_ATTR_STRICTATIME}},
      {"recursive", "bind", {"rbind", "rro"}, {.recursive_flags = MOUNT_ATTR_RDONLY}},
      {"propagation", "bind", {"rbind", "rslave"}, {.propagation = MS_SLAVE}},
      {"data stays in order",
       "tmpfs",
       {"mode=1777", "nosuid", "size=64k", "noswap"},
       {.flags = MOUNT_ATTR_NOSUID, .data = "mode=1777,size=64k,noswap"}},
  };
  for (const OptionsCase& one : cases) {
    Result<MountOptions> parsed = parse_mount_options({"/m", one.type, "", one.options});
    ASSERT_TRUE(parsed.ok()) << one.what << ": " << parsed.error().message();
    EXPECT_EQ(parsed->flags, one.expected.flags) << one.what;
    EXPECT_EQ(parsed->recursive_flags, one.expected.recursive_flags) << one.what;
    EXPECT_EQ(parsed->propagation, one.expected.propagation) << one.what;
    EXPECT_EQ(parsed->data, one.expected.data) << one.what;
  }
}

TEST(MountOptions, UnknownBindOptionsAndUnsupportedPropagationAreRefusedByName) {
  for (const char* option : {"mode=755", "nosuch", "unbindable", "idmap"}) {
    Result<MountOptions> parsed = parse_mount_options({"/m", "bind", "/v", {option}});
    ASSERT_FALSE(parsed.ok()) << option;
    EXPECT_TRUE(parsed.error().is(Errc::invalid_argument));
    EXPECT_NE(parsed.error().message().find(option), std::string::npos);
  }
  EXPECT_FALSE(parse_mount_options({"/m", "tmpfs", "", {"runbindable"}}).ok());
}

oci::Spec minimal() {
  oci::Spec spec;
  spec.process.args = {"true"};
  spec.linux.namespaces = {{oci::NamespaceType::mount, ""}};
  return spec;
}

Result<int> find_nothing(oci::NamespaceType, const std::string& path) {
  return make_error(Errc::failed_precondition, path);
}

TEST(ContainerPlan, MissingNamespaceIsThatOfTheHostAndAPathIsJoined) {
  oci::Spec spec = minimal();
  spec.linux.namespaces.push_back({oci::NamespaceType::pid, ""});
  spec.linux.namespaces.push_back({oci::NamespaceType::ipc, "berth:sandbox"});
  const FindNamespace find = [](oci::NamespaceType type, const std::string& path) -> Result<int> {
    EXPECT_EQ(type, oci::NamespaceType::ipc);
    EXPECT_EQ(path, "berth:sandbox");
    return 77;
  };
  const container::LaunchContainer made = container_of(std::move(spec), {}, find).value();
  EXPECT_EQ(made.namespaces.mount.mode, PlanNamespaceMode::fresh);
  EXPECT_EQ(made.namespaces.pid.mode, PlanNamespaceMode::fresh);
  EXPECT_EQ(made.namespaces.ipc.mode, PlanNamespaceMode::join);
  EXPECT_EQ(made.namespaces.ipc.fd, 77);
  EXPECT_EQ(made.namespaces.network.mode, PlanNamespaceMode::host);
  EXPECT_EQ(made.namespaces.cgroup.mode, PlanNamespaceMode::host);
}

TEST(ContainerPlan, MountsKeepTheirOrderAndTakeTheirSources) {
  oci::Spec spec = minimal();
  spec.mounts = {{"/proc", "proc", "proc", {"nosuid"}},
                 {"/v", "bind", "/srv", {"rbind", "ro"}},
                 {"/f", "bind", "/etc/file", {"bind"}}};
  std::vector<plugins::MountTree> trees;
  for (const std::size_t mount : {2, 1}) {
    UniqueFd tree(::open("/", O_PATH | O_CLOEXEC));
    trees.push_back({mount, std::move(tree), mount == 1});
  }
  const int file_fd = trees[0].tree.get();
  const int directory_fd = trees[1].tree.get();
  const container::LaunchContainer made =
      container_of(std::move(spec), trees, find_nothing).value();
  ASSERT_EQ(made.mounts.size(), 3U);
  EXPECT_EQ(made.mounts[0].type, "proc");
  EXPECT_EQ(made.mounts[0].source_fd, -1);
  EXPECT_EQ(made.mounts[1].source_fd, directory_fd);
  EXPECT_EQ(made.mounts[1].flags, std::uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_FALSE(made.mounts[1].destination_is_file);
  EXPECT_EQ(made.mounts[2].source_fd, file_fd);
  EXPECT_TRUE(made.mounts[2].destination_is_file);
}

TEST(ContainerPlan, BindMountWithoutASourceIsRefused) {
  oci::Spec spec = minimal();
  spec.mounts = {{"/v", "bind", "/srv", {}}};
  Result<container::LaunchContainer> made = container_of(std::move(spec), {}, find_nothing);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message().find("/v"), std::string::npos);
}

TEST(ContainerPlan, ProcessGetsLimitsOfItsOwn) {
  oci::Process process;
  complete_process(process);
  ASSERT_EQ(process.rlimits.size(), 1U);
  EXPECT_EQ(process.rlimits[0].type, RLIMIT_NOFILE);
  EXPECT_EQ(process.oom_score_adj, 0);
  process.oom_score_adj = 7;
  process.rlimits[0].soft = 5;
  complete_process(process);
  EXPECT_EQ(process.rlimits.size(), 1U);
  EXPECT_EQ(process.rlimits[0].soft, 5U);
  EXPECT_EQ(process.oom_score_adj, 7);
}

TEST(ContainerPlan, SysctlNamesBecomePaths) {
  EXPECT_EQ(sysctl_path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(sysctl_path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
}

TEST(SandboxDescriptors, KeySaysWhichDescriptorsAreHeld) {
  const auto open_one = [] { return UniqueFd(::open("/", O_PATH | O_CLOEXEC)); };
  SandboxDescriptors descriptors;
  descriptors.net = open_one();
  descriptors.pid = open_one();
  descriptors.kept.push_back(open_one());
  descriptors.kept.push_back(open_one());
  const std::string key = held_key("pod", descriptors);
  EXPECT_EQ(key, "pod:npfg");
  EXPECT_EQ(sandbox_of_key(key), "pod");
  std::vector<UniqueFd> held = held_copies(descriptors).value();
  ASSERT_EQ(held.size(), 4U);
  const int pid_fd = held[1].get();
  const SandboxDescriptors back = descriptors_of_key(key, std::move(held));
  EXPECT_TRUE(back.net.valid());
  EXPECT_EQ(back.pid.get(), pid_fd);
  EXPECT_FALSE(back.ipc.valid());
  EXPECT_EQ(back.kept.size(), 2U);
  EXPECT_EQ(missing_namespace(back, {}), "ipc namespace");
  EXPECT_EQ(missing_namespace(back, {.network = true, .ipc = false, .uts = false, .pid = true}),
            "");
}

TEST(SandboxDescriptors, KeyOfAnotherKindIsOfNoSandbox) {
  EXPECT_EQ(sandbox_of_key("pod"), "");
  std::vector<UniqueFd> held;
  held.emplace_back(::open("/", O_PATH | O_CLOEXEC));
  const SandboxDescriptors back = descriptors_of_key("pod:Z", std::move(held));
  EXPECT_FALSE(back.net.valid());
  EXPECT_TRUE(back.kept.empty());
}

}  // namespace
}  // namespace berth::native
