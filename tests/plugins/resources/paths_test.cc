// SPDX-License-Identifier: Apache-2.0
// Claims about cgroup names, the mount table and device rules.
#include <gtest/gtest.h>

#include "plugins/resources/cgroup_mounts.h"
#include "plugins/resources/cgroup_path.h"
#include "plugins/resources/devices.h"

namespace berth::plugins {
namespace {

TEST(CgroupPath, ParentIsMadeRelativeAndClean) {
  EXPECT_EQ(MUST(relative_cgroup_path("/kubepods/burstable/podX")), "kubepods/burstable/podX");
  EXPECT_EQ(MUST(relative_cgroup_path("berth")), "berth");
  EXPECT_EQ(MUST(relative_cgroup_path("//a///b/")), "a/b");
  EXPECT_EQ(MUST(relative_cgroup_path("/test.slice")), "test.slice");
}

TEST(CgroupPath, ParentThatLeavesTheHierarchyIsRefused) {
  const std::string bad[] = {"",
                             "/",
                             "..",
                             "/a/../../b",
                             "/a/./b",
                             std::string("a\0b", 3),
                             "/" + std::string(256, 'x'),
                             std::string(5000, 'a')};
  for (const std::string& path : bad) {
    const auto judged = relative_cgroup_path(path);
    ASSERT_FALSE(judged.ok()) << path;
    EXPECT_TRUE(judged.error().is(Errc::invalid_argument));
    EXPECT_NE(judged.error().message().find("cgroup_parent"), std::string::npos);
  }
}

TEST(CgroupPath, IdsThatAreNoSafeNamesAreRefused) {
  for (const char* id : {"", "..", "a/b", "a.b", "a b", ".hidden"}) {
    EXPECT_FALSE(validate_cgroup_id("pod_id", id).ok()) << id;
  }
  EXPECT_FALSE(validate_cgroup_id("pod_id", std::string(129, 'a')).ok());
  EXPECT_TRUE(validate_cgroup_id("pod_id", std::string(64, 'f')).ok());
}

TEST(CgroupPath, NamesComeBackAsPodAndContainer) {
  EXPECT_EQ(nested_path("p", "pod", "ctr"), "p/berth-pod/ctr");
  const std::string flat = flat_path("p", "pod", "ctr");
  EXPECT_EQ(flat, "p/berth-pod.ctr");
  EXPECT_EQ(parse_cgroup_name(flat.substr(2)).pod_id, "pod");
  EXPECT_EQ(parse_cgroup_name(flat.substr(2)).container_id, "ctr");
  EXPECT_EQ(parse_cgroup_name("berth-pod").pod_id, "pod");
  EXPECT_EQ(parse_cgroup_name("system.slice").pod_id, "");
}

TEST(CgroupMounts, HybridTableGivesEachControllerItsPlace) {
  const auto mounts = parse_cgroup_mounts(
      "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
      "99 31 0:32 / /elsewhere rw,relatime - cgroup cgroup rw,memory\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
      "41 31 0:38 / /mnt/with\\040space rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n"
      "broken line\n");
  ASSERT_EQ(mounts.size(), 4u);
  EXPECT_EQ(mounts[0].mount_point, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_TRUE(mounts[0].has("cpu") && mounts[0].has("cpuacct"));
  EXPECT_EQ(mounts[1].mount_point, "/sys/fs/cgroup/memory") << "the first mount counts";
  EXPECT_EQ(mounts[2].label, "systemd");
  EXPECT_TRUE(mounts[2].controllers.empty() && !mounts[2].has_limits());
  EXPECT_EQ(mounts[3].mount_point, "/mnt/with space");
  EXPECT_EQ(mounts[3].version, CgroupVersion::v2);
}

TEST(CgroupMounts, UnknownControllersAreControllers) {
  const auto mounts = parse_cgroup_mounts(
      "40 31 0:37 / /c/x rw - cgroup cgroup rw,xattr,release_agent=/bin/a,novel,clone_children\n");
  ASSERT_EQ(mounts.size(), 1u);
  EXPECT_EQ(mounts[0].controllers, std::vector<std::string>{"novel"});
}

TEST(CgroupMounts, OfTwoMountsTheWritableOneIsUsed) {
  const auto mounts = parse_cgroup_mounts(
      "35 31 0:32 / /ro ro,relatime - cgroup cgroup rw,memory\n"
      "36 31 0:33 / /only ro,relatime - cgroup cgroup rw,freezer\n"
      "99 31 0:32 / /rw rw,relatime - cgroup cgroup rw,memory\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].mount_point, "/rw");
  EXPECT_TRUE(!mounts[0].read_only && mounts[1].read_only);
}

TEST(CgroupMounts, HierarchiesThatAreMountedElsewhereAreFound) {
  const auto mounts =
      parse_cgroup_mounts("35 31 0:32 / /m rw,relatime - cgroup cgroup rw,cpu,cpuacct\n");
  const auto missing = unmounted_hierarchies(
      "9:name=systemd:/user.slice\n6:net_prio,net_cls:/\n1:cpuacct,cpu:/a:b\n0::/\nnonsense\n",
      mounts);
  ASSERT_EQ(missing.size(), 2u);
  EXPECT_EQ(missing[0].name(), "systemd");
  EXPECT_TRUE(missing[0].mount_point.empty());
  EXPECT_EQ(missing[1].name(), "net_prio,net_cls");
  EXPECT_EQ(missing[1].version, CgroupVersion::v1);
}

TEST(Devices, RuleTextsComeBack) {
  for (const char* rule : {"c 1:3 rwm", "b *:* m", "a *:* rwm", "c 136:* rw", "c 10:200 r"}) {
    EXPECT_EQ(device_rule_text(MUST(parse_device_rule(rule))), rule);
  }
}

TEST(Devices, MalformedRulesAreQuotedInTheError) {
  for (const char* rule : {"", "c", "c 1:3", "x 1:3 rwm", "c 1:3 q", "c -1:3 r", "c 1: r", "c :3 r",
                           "cc 1:3 r", "c 1:99999999 r", "c 1:3  "}) {
    const auto parsed = parse_device_rule(rule);
    EXPECT_FALSE(parsed.ok()) << rule;
  }
}

TEST(Devices, DefaultsAreTheSpecificationsList) {
  std::string all;
  for (const DeviceRule& rule : kDefaultDevices) all += device_rule_text(rule) + ";";
  EXPECT_EQ(all,
            "c *:* m;b *:* m;c 1:3 rwm;c 1:5 rwm;c 1:7 rwm;c 1:8 rwm;c 1:9 rwm;c 5:0 rwm;"
            "c 5:2 rwm;c 136:* rwm;");
}

}  // namespace
}  // namespace berth::plugins
