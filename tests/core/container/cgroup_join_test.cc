// SPDX-License-Identifier: Apache-2.0
// The process starts inside its cgroups: v2 by the clone, v1 by writing 0 to `tasks`.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "core/linux/cgroup_fs.h"
#include "core/linux/openat2.h"
#include "tests/core/container/launcher.h"
#include "tests/support/create_child.h"

namespace berth::container::testing {
namespace {

// Mount points of cgroup filesystems of `type` that this machine has.
std::vector<std::string> hierarchies(const std::string& type) {
  std::vector<std::string> paths;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, path, kind;
    fields >> source >> path >> kind;
    if (kind == type) paths.push_back(path);
  }
  return paths;
}

class CgroupJoin : public ::testing::Test {
 protected:
  // Creates a cgroup of this test below `mount`; null if that is not possible.
  const sys::Cgroup* make(const std::string& mount) {
    parents_.push_back(sys::Cgroup::open(AT_FDCWD, mount).value());
    Result<sys::Cgroup> made = sys::create_child(parents_.back(), name_);
    if (!made.ok()) return nullptr;
    made_.push_back(std::make_unique<sys::Cgroup>(std::move(made).value()));
    return made_.back().get();
  }
  void TearDown() override {
    made_.clear();
    for (const sys::Cgroup& parent : parents_) {
      const Status removed = parent.remove_tree(name_);
      EXPECT_TRUE(removed.ok()) << removed.error().message();
    }
  }

  const std::string name_ = "berth-test-" + std::to_string(::getpid());
  std::vector<sys::Cgroup> parents_;
  std::vector<std::unique_ptr<sys::Cgroup>> made_;
};

TEST_F(CgroupJoin, Version2ByTheClone) {
  const std::vector<std::string> mounts = hierarchies("cgroup2");
  if (mounts.empty()) GTEST_SKIP() << "no cgroup v2 mounted";
  const sys::Cgroup* cgroup = make(mounts[0]);
  ASSERT_NE(cgroup, nullptr);
  const sys::UniqueMount rootfs = make_rootfs();
  const LaunchContainer spec = base_spec({"sh", "-c", "grep ^0: /proc/self/cgroup; sleep 100"});
  Launch launched =
      launch(encode_container(spec, {.rootfs = rootfs.get(), .cgroup = cgroup->fd()}).value());
  launched.wait_started();
  ASSERT_TRUE(launched.executed()) << launched.failure();
  char text[6] = {};
  ASSERT_EQ(::read(launched.stdout_end.get(), text, 5), 5);
  EXPECT_STREQ(text, "0::/\n") << "the cgroup is not the root of the cgroup namespace";
  EXPECT_EQ(cgroup->procs().value().front(), launched.pid);
  // An exec process is placed there too, but the helper that creates it is not.
  oci::Process process = base_spec({"sleep", "100"}).process;
  Launch exec = launch(
      encode_exec(process, {}, {.target = launched.pidfd.get(), .cgroup = cgroup->fd()}).value());
  exec.wait_started();
  const std::vector<pid_t> pids = cgroup->procs().value();
  EXPECT_EQ(std::count(pids.begin(), pids.end(), exec.pid), 1);
  ASSERT_TRUE(cgroup->kill().ok());
  EXPECT_EQ(exec.wait_exit(), 137);
  EXPECT_EQ(launched.wait_exit(), 137);
}

TEST_F(CgroupJoin, Version1ByTasks) {
  const std::vector<std::string> mounts = hierarchies("cgroup");
  if (mounts.empty()) GTEST_SKIP() << "no cgroup v1 mounted";
  std::vector<UniqueFd> tasks;
  LaunchFds fds;
  const sys::Cgroup* any = nullptr;
  std::size_t joined = 0;
  for (const std::string& mount : mounts) {
    // A new cpuset refuses processes until a plugin has given it CPUs and memory nodes.
    if (mount.find("cpuset") != std::string::npos) continue;
    const sys::Cgroup* cgroup = make(mount);
    if (cgroup == nullptr) continue;
    tasks.push_back(cgroup->open_control("tasks", O_WRONLY).value());
    fds.v1_tasks.push_back(tasks.back().get());
    any = cgroup;
    ++joined;
  }
  if (any == nullptr) GTEST_SKIP() << "no v1 hierarchy takes a cgroup";
  const sys::UniqueMount rootfs = make_rootfs();
  fds.rootfs = rootfs.get();
  LaunchContainer spec = base_spec({"sh", "-c", "sleep 100"});
  Launch launched = launch(encode_container(spec, fds).value());
  launched.wait_started();
  ASSERT_TRUE(launched.executed()) << launched.failure();
  EXPECT_EQ(any->procs().value(), std::vector<pid_t>{launched.pid});
  const std::string path = "/proc/" + std::to_string(launched.pid) + "/cgroup";
  const std::string text = sys::read_small_file(AT_FDCWD, path).value();
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(name_, at)) != text.npos; ++at) ++found;
  EXPECT_EQ(found, joined) << text;
  EXPECT_TRUE(any->kill().ok());
  if (HasFailure()) launched.kill(SIGKILL);  // it may be outside the test's cgroups
  EXPECT_EQ(launched.wait_exit(), 137);
}

TEST_F(CgroupJoin, RefusedCgroupIsAStepWithItsErrno) {
  const UniqueFd not_a_cgroup(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const sys::UniqueMount rootfs = make_rootfs();
  LaunchFds fds{.rootfs = rootfs.get(), .v1_tasks = {not_a_cgroup.get()}};
  EXPECT_EQ(run(base_spec({"true"}), nullptr, fds), "cgroup tasks: ENOSPC");
}

}  // namespace
}  // namespace berth::container::testing
