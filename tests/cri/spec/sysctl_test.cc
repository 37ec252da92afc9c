// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/sysctl.h"

#include <gtest/gtest.h>

namespace berth::cri {
namespace {

constexpr plugins::SandboxNamespaces kOwn{.network = true, .ipc = true, .uts = true};

std::string path_or_error(const std::string& name, const plugins::SandboxNamespaces& namespaces) {
  Result<std::string> path = sysctl_path("sysctl", name, namespaces);
  return path.ok() ? *path : path.error().message();
}

TEST(Sysctl, NamesBecomePathsBelowProcSys) {
  const struct {
    const char* name;
    const char* path;
  } kTable[] = {
      {"net.ipv4.ip_forward", "net/ipv4/ip_forward"},
      {"net/ipv4/ip_forward", "net/ipv4/ip_forward"},
      {"net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"},
      {"net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"},
      {"kernel.shm_rmid_forced", "kernel/shm_rmid_forced"},
      {"fs.mqueue.msg_max", "fs/mqueue/msg_max"},
      {"kernel.domainname", "kernel/domainname"},
  };
  for (const auto& row : kTable) EXPECT_EQ(path_or_error(row.name, kOwn), row.path) << row.name;
}

TEST(Sysctl, NamesOfNoNamespaceAreRefused) {
  for (const char* name : {"vm.swappiness", "kernel.pid_max", "kernel.shm", "kernel.hostname"}) {
    EXPECT_EQ(path_or_error(name, kOwn), "sysctl: is not a namespaced sysctl") << name;
  }
  for (const char* name : {"", "net..ipv4", "net.", ".net", "/net/x", "net/../kernel/pid_max"}) {
    EXPECT_NE(path_or_error(name, kOwn).find("is no"), std::string::npos) << name;
  }
}

TEST(Sysctl, TheHostsNamespaceIsNotChanged) {
  const plugins::SandboxNamespaces host{.network = false, .ipc = false, .uts = false};
  for (const char* name : {"net.core.somaxconn", "kernel.sem", "kernel.domainname"}) {
    EXPECT_NE(path_or_error(name, host).find("would change the host"), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace berth::cri
