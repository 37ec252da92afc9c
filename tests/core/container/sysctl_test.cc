// SPDX-License-Identifier: Apache-2.0
#include "core/container/sysctl.h"

#include <gtest/gtest.h>

namespace berth::container {
namespace {

constexpr auto kHost = oci::Namespace::Mode::host;
constexpr auto kFresh = oci::Namespace::Mode::fresh;

oci::Namespaces namespaces(oci::Namespace::Mode mode) {
  oci::Namespaces set;
  set.network.mode = mode;
  set.ipc.mode = mode;
  set.uts.mode = mode;
  return set;
}

std::string path(const std::string& name) {
  Result<std::string> result = sysctl_path(name, namespaces(kFresh));
  return result.ok() ? *result : "refused";
}

TEST(Sysctl, NamespacedNamesBecomePaths) {
  EXPECT_EQ(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(path("net/ipv4/ip_forward"), "net/ipv4/ip_forward");
  EXPECT_EQ(path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
  EXPECT_EQ(path("kernel.shmmax"), "kernel/shmmax");
  EXPECT_EQ(path("fs.mqueue.msg_max"), "fs/mqueue/msg_max");
  EXPECT_EQ(path("kernel.domainname"), "kernel/domainname");
}

TEST(Sysctl, SettingsOfTheMachineAreRefused) {
  for (const char* name : {"kernel.panic", "vm.swappiness", "kernel.shmmax_", "fs.file-max",
                           "kernel", "", "debug.x"}) {
    EXPECT_EQ(path(name), "refused") << name;
  }
}

TEST(Sysctl, ClimbingNamesAreRefused) {
  for (const char* name : {"net/../kernel/panic", "net.ipv4..x", "net/", "/net/x", "net/./x",
                           "net.//.//.kernel.panic"}) {
    EXPECT_EQ(path(name), "refused") << name;
  }
}

TEST(Sysctl, HostNamespacesMakeEverythingTheMachines) {
  for (const char* name : {"net.ipv4.ip_forward", "kernel.shmmax", "kernel.domainname"}) {
    EXPECT_FALSE(sysctl_path(name, namespaces(kHost)).ok()) << name;
  }
}

}  // namespace
}  // namespace berth::container
