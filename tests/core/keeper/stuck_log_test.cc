// SPDX-License-Identifier: Apache-2.0
// Logs that cannot be written, because the disk is full or a write does not end: their containers
// wait and lose no output, and the keeper serves all others.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/keeper/table.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

namespace fs = std::filesystem;

// Bytes that the process has written to its stdout and no process has read yet; -1: unknown.
int unread_of(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/1";
  const UniqueFd pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  int bytes = -1;
  return ::ioctl(pipe.get(), FIONREAD, &bytes) == 0 ? bytes : -1;
}

// True when its pipe has no room for another page.
bool writer_waits(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/1";
  const UniqueFd pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  return unread_of(pid) > ::fcntl(pipe.get(), F_GETPIPE_SZ) - 4096;
}

class StuckLogTest : public KeeperTest {
 protected:
  // A shell that waits for go() before it does anything.
  void launch_waiting(const std::string& id, const std::string& script) {
    launch(id, {.args = {"sh", "-c", "read go; " + script}, .open_stdin = true});
  }
  void go(const std::string& id) { ASSERT_EQ(::write(client_->find(id)->stdin_fd, "\n", 1), 1); }
  pid_t pid_of(const std::string& id) const { return client_->find(id)->pid; }
};

class FullDiskTest : public StuckLogTest {
 protected:
  void SetUp() override {
    KeeperTest::SetUp();
    disk_ = dir_ + "/disk";
    fs::create_directory(disk_);
    ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=64k"), 0);
  }
  void TearDown() override {
    KeeperTest::TearDown();
    ::umount2(disk_.c_str(), MNT_DETACH);
  }
  std::string disk_;
};

constexpr char kMuch[] = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";

std::string much() {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += "line " + std::to_string(i) + "\n";
  return text;
}

TEST_F(FullDiskTest, WriterWaitsAndNothingIsLostWhenSpaceComesBack) {
  // The agent keeps its end of the log, so the test may give the keeper a file on the small disk.
  std::ofstream(disk_ + "/ballast") << std::string(32 << 10, 'x');
  launch_waiting("c1", kMuch);
  ASSERT_TRUE(run(client_->reopen_log("c1", open_log(disk_ + "/log"), soon())).ok());
  go("c1");
  ASSERT_TRUE(eventually([&] { return fs::file_size(disk_ + "/log") >= 16 << 10; }));
  ASSERT_TRUE(eventually([&] { return writer_waits(pid_of("c1")); }));
  // Other containers are served meanwhile.
  shell("c2", "echo alive");
  EXPECT_EQ(wait_exit("c2").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("c2")), "alive\n");
  ASSERT_EQ(::mount(nullptr, disk_.c_str(), nullptr, MS_REMOUNT, "size=64m"), 0);
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  EXPECT_TRUE(eventually([&] { return joined_log(read_file(disk_ + "/log")) == much(); }));
}

TEST_F(FullDiskTest, ReopeningElsewhereEndsTheWait) {
  launch_waiting("c1", kMuch);
  ASSERT_TRUE(run(client_->reopen_log("c1", open_log(disk_ + "/log"), soon())).ok());
  go("c1");
  ASSERT_TRUE(eventually([&] { return fs::file_size(disk_ + "/log") >= 48 << 10; }));
  ASSERT_TRUE(eventually([&] { return writer_waits(pid_of("c1")); }));
  ASSERT_TRUE(run(client_->reopen_log("c1", open_log(log_path("c1") + ".2"), soon())).ok());
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  EXPECT_EQ(joined_log(read_file(disk_ + "/log") + read_file(log_path("c1") + ".2")) == much(),
            true);
}

// More logs than the keeper has slots for.
TEST_F(FullDiskTest, ManyFullLogsDoNotDelayOtherLogs) {
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) {
    ids.push_back("full" + std::to_string(i));
    launch_waiting(ids.back(), kMuch);
    UniqueFd log = open_log(disk_ + "/" + ids.back());
    ASSERT_TRUE(run(client_->reopen_log(ids.back(), std::move(log), soon())).ok());
    go(ids.back());
  }
  for (const std::string& id : ids) {
    ASSERT_TRUE(eventually([&] { return writer_waits(pid_of(id)); })) << id;
  }
  shell("elsewhere", "echo alive");
  EXPECT_EQ(wait_exit("elsewhere").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("elsewhere")), "alive\n");
  // The exit of one of them is reported, and it can be forgotten.
  ASSERT_EQ(::kill(client_->find("full3")->pid, SIGKILL), 0);
  EXPECT_EQ(wait_exit("full3").exit_code, 128 + SIGKILL);
  forget("full3");
  ASSERT_EQ(::mount(nullptr, disk_.c_str(), nullptr, MS_REMOUNT, "size=64m"), 0);
  for (const std::string& id : ids) {
    if (id == "full3") continue;
    EXPECT_EQ(wait_exit(id).exit_code, 0);
    const auto whole = [&] { return joined_log(read_file(disk_ + "/" + id)) == much(); };
    EXPECT_TRUE(eventually(whole)) << id;
  }
}

// A file of the maximum size refuses every write, although its filesystem has space.
TEST_F(FullDiskTest, LogsThatRefuseEveryWriteDoNotDelayOthersOnTheirFilesystem) {
  ASSERT_EQ(::mount(nullptr, disk_.c_str(), nullptr, MS_REMOUNT, "size=64m"), 0);
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back("long" + std::to_string(i));
    UniqueFd log = open_log(disk_ + "/" + ids.back());
    ASSERT_EQ(::ftruncate(log.get(), std::numeric_limits<off_t>::max()), 0);
    launch_waiting(ids.back(), "while :; do echo line; done");
    ASSERT_TRUE(run(client_->reopen_log(ids.back(), std::move(log), soon())).ok());
    go(ids.back());
  }
  for (const std::string& id : ids) {
    ASSERT_TRUE(eventually([&] { return writer_waits(pid_of(id)); })) << id;
  }
  launch_waiting("fine", kMuch);
  ASSERT_TRUE(run(client_->reopen_log("fine", open_log(disk_ + "/fine"), soon())).ok());
  go("fine");
  EXPECT_EQ(wait_exit("fine").exit_code, 0);
  EXPECT_EQ(joined_log(read_file(disk_ + "/fine")) == much(), true);
  for (const std::string& id : ids) {
    ASSERT_EQ(::kill(client_->find(id)->pid, SIGKILL), 0);
    EXPECT_EQ(wait_exit(id).exit_code, 128 + SIGKILL);
    forget(id);
  }
}

// A pipe that no process reads acts as a server that does not answer: the write does not end.
class HungLogTest : public StuckLogTest {
 protected:
  struct Hung {
    UniqueFd read;
    std::string id;
  };
  Hung launch_hung(const std::string& id) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Hung hung{UniqueFd(ends[0]), id};
    UniqueFd write(ends[1]);
    const int bytes = ::fcntl(write.get(), F_GETPIPE_SZ);
    const std::string filling(static_cast<std::size_t>(bytes), '\n');
    EXPECT_EQ(::write(write.get(), filling.data(), filling.size()), bytes);
    launch_waiting(id, "echo one; exec sleep 1000");
    EXPECT_TRUE(run(client_->reopen_log(id, std::move(write), soon())).ok());
    go(id);
    return hung;
  }
};

TEST_F(HungLogTest, OtherLogsAreWrittenAndItsExitIsReportedAndForgotten) {
  std::vector<Hung> hung;
  for (int i = 0; i < 5; ++i) hung.push_back(launch_hung("hung" + std::to_string(i)));
  const auto taken = [&] {
    return std::count_if(hung.begin(), hung.end(), [&](const Hung& one) {
      const std::string comm = read_file("/proc/" + std::to_string(pid_of(one.id)) + "/comm");
      return comm == "sleep\n" && unread_of(pid_of(one.id)) == 0;
    });
  };
  // One slot stays free for logs on other filesystems.
  ASSERT_TRUE(eventually([&] { return taken() == kLogSlots - 1; }));
  shell("fine", "echo alive");
  EXPECT_EQ(wait_exit("fine").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("fine")), "alive\n");
  for (const Hung& one : hung) ASSERT_EQ(::kill(client_->find(one.id)->pid, SIGKILL), 0);
  for (const Hung& one : hung) {
    EXPECT_EQ(wait_exit(one.id).exit_code, 128 + SIGKILL);
    forget(one.id);
  }
  // The slots are free again after the writes end.
  hung.clear();
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back("after" + std::to_string(i));
    shell(ids.back(), kMuch);
  }
  for (const std::string& id : ids) {
    EXPECT_EQ(wait_exit(id).exit_code, 0);
    EXPECT_EQ(joined_log(log_of(id)) == much(), true);
  }
}

}  // namespace
}  // namespace berth::keeper::testing
