// SPDX-License-Identifier: Apache-2.0
// Files of the keeper that a container can reach: its program and the covers that mask paths.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/linux/capability.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

class ProgramTest : public KeeperTest {
 protected:
  std::string exe() const { return "/proc/" + std::to_string(client_->pid()) + "/exe"; }

  int exec_errno() const {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(exe().c_str(), "berth-keeper", "--help", nullptr);
      ::_exit(errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }

  // No process can change or execute it, not even root through /proc.
  void expect_out_of_reach() const {
    const std::string path = exe();
    EXPECT_EQ(::open(path.c_str(), O_WRONLY | O_CLOEXEC), -1);
    EXPECT_EQ(::chmod(path.c_str(), 0644), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(::chown(path.c_str(), 1, 1), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(::setxattr(path.c_str(), "user.x", "y", 1, 0), -1);
    EXPECT_EQ(errno, EROFS);
    EXPECT_EQ(::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE), -1);
    EXPECT_EQ(exec_errno(), EACCES);
  }

  static void mask(container::LaunchContainer& spec) {
    spec.masked_paths = {"/etc", "/proc/keys"};
    const std::uint64_t caps = sys::capability_container_default() | std::uint64_t{1}
                                                                         << 21;  // CAP_SYS_ADMIN
    spec.process.capabilities = {caps, caps, 0, caps, 0};
  }
};

TEST_F(ProgramTest, IsOutOfReachAfterStartReexecutionAndRestart) {
  expect_out_of_reach();
  ASSERT_TRUE(run(client_->reexec(options_.binary, soon())).ok());
  expect_out_of_reach();
  // While the keeper runs, a write fails with ETXTBSY for any program; so the test kills it first.
  const UniqueFd kept(::open(exe().c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(kept.valid());
  kill_keeper();
  const std::string path = "/proc/self/fd/" + std::to_string(kept.get());
  EXPECT_TRUE(eventually([&path] {
    EXPECT_EQ(::open(path.c_str(), O_WRONLY | O_CLOEXEC), -1);
    return errno != ETXTBSY;
  }));
  EXPECT_EQ(::open(path.c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  // Each request waits until the next keeper serves it.
  while (client_->starts() < 2) {
    ASSERT_TRUE(run(client_->drop("nothing", soon())).ok());
  }
  shell("after", "exit 4");
  EXPECT_EQ(wait_exit("after").exit_code, 4);
  expect_out_of_reach();
}

TEST_F(ProgramTest, KeeperHasItsOwnProcessName) {
  EXPECT_EQ(read_file("/proc/" + std::to_string(client_->pid()) + "/comm"), "berth-keeper\n");
}

TEST_F(ProgramTest, ContainerThatRemountsAMaskChangesNothing) {
  launch("hostile",
         {.args = {"sh", "-c",
                   "mount -o remount,rw /etc; mount -o remount,bind,rw /etc; "
                   "mount -o remount,rw /proc/keys; mount -o remount,bind,rw /proc/keys; "
                   "touch /etc/x; mkdir /etc/y; echo x >/proc/keys; "
                   "ls -A /etc; cat /proc/keys; echo done"},
          .change = mask});
  wait_exit("hostile");
  const std::string log = joined_log(log_of("hostile"));
  EXPECT_EQ(log, "done\n");
  launch("neighbour",
         {.args = {"sh", "-c", "ls -A /etc; stat -c %a /etc; stat -c %a:%s /proc/keys; echo done"},
          .change = mask});
  wait_exit("neighbour");
  EXPECT_EQ(joined_log(log_of("neighbour")), "555\n444:0\ndone\n");
}

TEST_F(ProgramTest, ThreeHundredMountsAreMade) {
  constexpr int kMounts = 300;
  std::vector<UniqueFd> trees;
  launch("many",
         {.args = {"sh", "-c", "grep -c ' /many/' /proc/self/mountinfo"},
          .change = [&trees](container::LaunchContainer& spec) {
            for (int i = 0; i < kMounts; ++i) {
              trees.push_back(sys::open_tree_clone(AT_FDCWD, "/tmp", false).value().release());
              container::LaunchMount mount;
              mount.destination = "/many/" + std::to_string(i);
              mount.source_fd = trees.back().get();
              spec.mounts.push_back(mount);
            }
          }});
  EXPECT_EQ(wait_exit("many").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("many")), std::to_string(kMounts) + "\n");
  shell("after", "exit 3");
  EXPECT_EQ(wait_exit("after").exit_code, 3);
}

TEST_F(ProgramTest, DescriptorsOfAFailedLaunchAreClosed) {
  const int before = count_fds(client_->pid());
  constexpr int kMounts = 300;
  std::vector<UniqueFd> trees;
  LaunchWish wish{
      .args = {"true"}, .change = [&trees](container::LaunchContainer& spec) {
        for (int i = 0; i < kMounts; ++i) {
          trees.push_back(sys::open_tree_clone(AT_FDCWD, "/tmp", false).value().release());
          container::LaunchMount mount;
          mount.destination = "/dev/null/below-a-file";
          mount.source_fd = trees.back().get();
          spec.mounts.push_back(mount);
        }
      }};
  Result<Started> failed = try_launch("broken", std::move(wish));
  EXPECT_FALSE(failed.ok());
  EXPECT_TRUE(eventually([&] { return count_fds(client_->pid()) <= before; }));
}

}  // namespace
}  // namespace berth::keeper::testing
