// SPDX-License-Identifier: Apache-2.0
#include "core/linux/cgroup_fs.h"
#include "tests/support/create_child.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace berth::sys {
namespace {

std::vector<std::string> mount_points() {
  std::vector<std::string> paths;
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, path, kind, options;
    fields >> source >> path >> kind >> options;
    const bool usable =
        kind == "cgroup2" || (kind == "cgroup" && options.find("freezer") != std::string::npos);
    if (usable) paths.push_back(path);
  }
  return paths;
}

// Runs for a v2 and for a v1 hierarchy, if the machine has them.
class CgroupFs : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    parent_ = Cgroup::open(AT_FDCWD, GetParam()).value();
    name_ = "berth-test-" + std::to_string(::getpid());
    Result<Cgroup> made = create_child(parent_, name_);
    if (!made.ok()) GTEST_SKIP() << made.error().message();
    own_ = std::move(made).value();
  }
  void TearDown() override {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    const Status removed = parent_.remove_tree(name_);
    EXPECT_TRUE(removed.ok()) << removed.error().message();
  }
  void start_process(const Cgroup& cgroup) {
    child_ = ::fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      for (;;) ::pause();
    }
    const Status moved = cgroup.write("cgroup.procs", std::to_string(child_));
    ASSERT_TRUE(moved.ok()) << moved.error().message();
  }

  Cgroup parent_, own_;
  std::string name_;
  pid_t child_ = -1;
};

TEST_P(CgroupFs, ChildrenAreMadeListedAndRemoved) {
  ASSERT_TRUE(create_child(own_, "a").ok());
  ASSERT_TRUE(create_child(own_, "b").ok());
  EXPECT_TRUE(create_child(own_, "a").ok()) << "an existing one is opened";
  std::vector<std::string> names = own_.children().value();
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(own_.remove_child("a").ok());
  EXPECT_TRUE(own_.remove_child("a").ok()) << "absence is no error";
  EXPECT_EQ(own_.children().value(), std::vector<std::string>{"b"});
}

TEST_P(CgroupFs, BusyCgroupIsAFailedPrecondition) {
  const Cgroup leaf = create_child(own_, "leaf").value();
  start_process(leaf);
  EXPECT_EQ(leaf.procs().value(), std::vector<pid_t>{child_});
  const Status removed = own_.remove_child("leaf");
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.error().code, Errc::failed_precondition);
  EXPECT_EQ(removed.error().sys_errno, EBUSY);
}

TEST_P(CgroupFs, KillEndsEveryProcessBelow) {
  const Cgroup leaf = create_child(create_child(own_, "middle").value(), "leaf").value();
  start_process(leaf);
  ASSERT_TRUE(own_.kill().ok());
  int status = 0;
  ASSERT_EQ(::waitpid(child_, &status, 0), child_);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  child_ = -1;
}

TEST_P(CgroupFs, MissingControlFileIsReportedAsAMissingController) {
  const Status wrote = own_.write("nonsense.max", "1");
  ASSERT_FALSE(wrote.ok());
  EXPECT_EQ(wrote.error().code, Errc::not_found);
  const std::string message = wrote.error().message();
  EXPECT_NE(message.find("controller nonsense is not available"), std::string::npos) << message;
  EXPECT_NE(message.find("nonsense.max"), std::string::npos) << message;
  EXPECT_NE(message.find(name_), std::string::npos) << message;
}

INSTANTIATE_TEST_SUITE_P(Hierarchies, CgroupFs, ::testing::ValuesIn(mount_points()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CgroupFs);

}  // namespace
}  // namespace berth::sys
