// SPDX-License-Identifier: Apache-2.0
// FACT: cgroup v2 accounts CPU time in every group (Linux 4.15), also where the cpu controller is
// not enabled or belongs to a v1 hierarchy.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

#include "core/base/units.h"
#include "core/linux/cgroup_fs.h"
#include "tests/support/create_child.h"

namespace berth::sys {
namespace {

std::string unified_mount() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, path, kind;
    fields >> source >> path >> kind;
    if (kind == "cgroup2") return path;
  }
  return {};
}

TEST(Cgroup2CpuTime, IsCountedWithoutTheController) {
  const std::string mount = unified_mount();
  if (mount.empty()) GTEST_SKIP() << "needs a cgroup v2 hierarchy";
  const Cgroup root = Cgroup::open(AT_FDCWD, mount).value();
  const std::string name = "berth-test-cpu-" + std::to_string(::getpid());
  const Cgroup cgroup = create_child(root, name).value();
  EXPECT_FALSE(cgroup.read("cpu.max").ok())
      << "the controller is enabled here, so this proves nothing";
  const pid_t child = ::fork();
  if (child == 0) {
    if (!cgroup.write("cgroup.procs", "0").ok()) ::_exit(1);
    constexpr std::int64_t kBusyNs = kNanosecondsPerSecond / 20;
    const std::int64_t end = monotonic_now_ns() + kBusyNs;
    while (monotonic_now_ns() < end) {
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  std::istringstream stat(cgroup.read("cpu.stat").value());
  std::string key;
  long usage_us = 0;
  stat >> key >> usage_us;
  EXPECT_EQ(key, "usage_usec");
  EXPECT_GT(usage_us, 1000);
  EXPECT_TRUE(root.remove_tree(name).ok());
}

}  // namespace
}  // namespace berth::sys
