// SPDX-License-Identifier: Apache-2.0
// FACT: a thread that moves itself by writing "0" to the v1 file `tasks` does not take the lock
// that excludes every fork and exit of the machine; moving by cgroup.procs does, and the first
// writer after a pause waits for an RCU grace period. So a container's process puts itself into its
// v1 cgroups.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "core/base/units.h"
#include "core/linux/cgroup_fs.h"
#include "tests/support/create_child.h"

namespace berth::sys {
namespace {

std::string freezer_mount() {
  std::ifstream mounts("/proc/self/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string source, path, kind, options;
    fields >> source >> path >> kind >> options;
    if (kind == "cgroup" && options.find("freezer") != std::string::npos) return path;
  }
  return {};
}

// The shortest of several moves of a child process by writing to `file`, each after a pause in
// which the lock becomes idle. The shortest, because other load only makes moves slower.
std::int64_t move_time_ns(const Cgroup& cgroup, const Cgroup& home, const std::string& file) {
  std::int64_t shortest = INT64_MAX;
  for (int round = 0; round < 7; ++round) {
    ::usleep(60'000);
    const UniqueFd control = cgroup.open_control(file, O_WRONLY).value();
    const std::int64_t begin = monotonic_now_ns();
    EXPECT_EQ(::write(control.get(), "0", 1), 1);
    shortest = std::min(shortest, monotonic_now_ns() - begin);
    EXPECT_TRUE(home.write("tasks", "0").ok());
  }
  return shortest;
}

TEST(CgroupTasks, MovingOneselfByTasksIsCheaperThanByProcs) {
  const std::string mount = freezer_mount();
  if (mount.empty()) GTEST_SKIP() << "needs a cgroup v1 hierarchy";
  const Cgroup root = Cgroup::open(AT_FDCWD, mount).value();
  const std::string name = "berth-test-" + std::to_string(::getpid());
  const Cgroup cgroup = create_child(root, name).value();
  const Cgroup home = create_child(cgroup, "home").value();
  const Cgroup away = create_child(cgroup, "away").value();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    EXPECT_TRUE(home.write("tasks", "0").ok());
    const std::int64_t by_tasks = move_time_ns(away, home, "tasks");
    const std::int64_t by_procs = move_time_ns(away, home, "cgroup.procs");
    std::printf("tasks %ld us, cgroup.procs %ld us\n", static_cast<long>(by_tasks / 1000),
                static_cast<long>(by_procs / 1000));
    EXPECT_LT(by_tasks, by_procs);
    std::fflush(nullptr);
    ::_exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(root.remove_tree(name).ok());
}

TEST(CgroupTasks, ZeroMeansTheWriter) {
  const std::string mount = freezer_mount();
  if (mount.empty()) GTEST_SKIP() << "needs a cgroup v1 hierarchy";
  const Cgroup root = Cgroup::open(AT_FDCWD, mount).value();
  const std::string name = "berth-test-" + std::to_string(::getpid());
  const Cgroup cgroup = create_child(root, name).value();
  const UniqueFd tasks = cgroup.open_control("tasks", O_WRONLY).value();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    // Through a descriptor that another process opened, as the agent does for the container.
    const char moved = ::write(tasks.get(), "0", 1) == 1 ? 'y' : 'n';
    static_cast<void>(!::write(ends[1], &moved, 1));
    ::pause();
  }
  char moved = 0;
  ASSERT_EQ(::read(ends[0], &moved, 1), 1);
  EXPECT_EQ(moved, 'y');
  EXPECT_EQ(cgroup.procs().value(), std::vector<pid_t>{child});
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_TRUE(root.remove_tree(name).ok());
}

}  // namespace
}  // namespace berth::sys
