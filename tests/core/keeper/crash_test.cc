// SPDX-License-Identifier: Apache-2.0
// After kill -9 of the keeper, the agent or both: no container ends, no log line is lost or
// doubled, and every exit code is right or reported as unknown.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "core/ring/with_deadline.h"
#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

constexpr int kLines = 400'000;

class CrashTest : public KeeperTest {
 protected:
  // Runs the client's own tasks for this time.
  void pass_ms(std::int64_t duration_ms) { ASSERT_TRUE(run(sleep(*ring_, duration_ms)).ok()); }
  static Task<void> sleep(Ring& ring, std::int64_t duration_ms) {
    co_await ring.sleep_until(Deadline::after_ms(duration_ms));
  }
  void wait_revived(unsigned starts) {
    const Deadline limit = soon();
    while (client_->starts() < starts && !limit.passed()) pass_ms(2);
    EXPECT_EQ(client_->starts(), starts);
  }
  // Waits until the new keeper has everything that the dead one held.
  void wait_handed_over() { ASSERT_TRUE(run(client_->drop("nothing", soon())).ok()); }
  // Numbered lines of varying length, which `cat` prints faster than the keeper logs them.
  void make_numbers() {
    std::ofstream file(container::testing::place("lower/numbers"));
    for (int i = 0; i < kLines; ++i) file << i << std::string(i % 57, '.') << '\n';
  }
};

// Every line is there once, in order.
void expect_numbers(const std::string& text) {
  int expected = 0;
  for (const std::string& line : lines_of(text)) {
    ASSERT_EQ(line, std::to_string(expected) + std::string(expected % 57, '.'));
    ++expected;
  }
  EXPECT_EQ(expected, kLines);
}

TEST_F(CrashTest, NoLogLineIsLostOrDoubledWhenTheKeeperIsKilledThirtyTimes) {
  make_numbers();
  launch("flood", {.args = {"cat", "/numbers"}});
  launch("both", {.args = {"sh", "-c", "cat /numbers >&2 & cat /numbers; wait"}});
  std::mt19937 random(20261122);
  for (unsigned kill = 1; kill <= 30; ++kill) {
    ::usleep(static_cast<useconds_t>(random() % 4000));
    kill_keeper();
    wait_revived(kill + 1);
    // After every other kill the keeper works for a while before the next one.
    if (kill % 2 == 0) pass_ms(static_cast<std::int64_t>(random() % 8));
  }
  EXPECT_EQ(wait_exit("flood").exit_code, 0);
  EXPECT_EQ(wait_exit("both").exit_code, 0);
  expect_numbers(joined_log(log_of("flood")));
  expect_numbers(joined_log(log_of("both"), "stdout"));
  expect_numbers(joined_log(log_of("both"), "stderr"));
}

TEST_F(CrashTest, ExitCodeOfAnOrphanOfTheKeeperIsFetchedByTheAgent) {
  launch("c1", {.args = {"sh", "-c", "read line; exit 9"}, .open_stdin = true});
  kill_keeper();
  wait_revived(2);
  const auto known = client_->find("c1");
  ASSERT_TRUE(known.has_value());
  ASSERT_EQ(::write(known->stdin_fd, "go\n", 3), 3);
  EXPECT_EQ(wait_exit("c1").exit_code, 9);
}

TEST_F(CrashTest, ProcessThatEndsWhileNoKeeperLivesIsReported) {
  const Started started = shell("c1", "sleep 100");
  kill_keeper();
  kill_process(started, SIGTERM);
  kill_process(started, SIGKILL);
  EXPECT_EQ(wait_exit("c1").exit_code, 128 + SIGKILL);
}

TEST_F(CrashTest, ExitWhileNoAgentIsConnectedIsReportedToTheNext) {
  shell("c1", "sleep 0.2; echo late; exit 5");
  shell("c2", "sleep 100");
  drop_client();
  ::usleep(500'000);
  connect();
  EXPECT_EQ(client_->starts(), 0u);
  EXPECT_EQ(wait_exit("c1").exit_code, 5);
  EXPECT_EQ(joined_log(log_of("c1")), "late\n");
  EXPECT_TRUE(client_->find("c2").has_value());
  // The exit is reported to every new agent until it is forgotten.
  drop_client();
  connect();
  EXPECT_EQ(wait_exit("c1").exit_code, 5);
  forget("c1");
  drop_client();
  connect();
  EXPECT_FALSE(client_->find("c1").has_value());
}

TEST_F(CrashTest, SecondKeeperDeathAfterAnAgentRestartLosesNothing) {
  make_numbers();
  launch("flood", {.args = {"cat", "/numbers"}});
  drop_client();
  connect();
  kill_keeper();
  wait_revived(1);
  EXPECT_EQ(wait_exit("flood").exit_code, 0);
  expect_numbers(joined_log(log_of("flood")));
}

TEST_F(CrashTest, ContainersOutliveKeeperAndAgentTogether) {
  const Started started = shell(
      "c1", "i=0; while [ $i -lt 30 ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 4");
  const pid_t keeper = client_->pid();
  drop_client();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_EQ(::waitpid(keeper, nullptr, 0), keeper);
  ::usleep(100'000);
  EXPECT_EQ(::kill(started.pid, 0), 0) << "a write without a reader must not end the process";
  connect();
  EXPECT_EQ(client_->starts(), 1u);
  const auto known = client_->find("c1");
  ASSERT_TRUE(known.has_value());
  EXPECT_EQ(known->pid, started.pid);
  ASSERT_TRUE(run(client_->reopen_log("c1", open_log(log_path("c1")), soon())).ok());
  EXPECT_EQ(wait_exit("c1").exit_code, 4);
  // Data in the pipe is not lost while no process reads it: the container holds the pipe open.
  std::string expected;
  for (int i = 0; i < 30; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(joined_log(log_of("c1")), expected);
}

TEST_F(CrashTest, HeldDescriptorsSurviveTheKeeper) {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  struct stat before {};
  ASSERT_EQ(::fstat(fds[0].get(), &before), 0);
  ASSERT_TRUE(run(client_->hold("pod", std::move(fds), soon())).ok());
  kill_keeper();
  wait_handed_over();
  drop_client();
  connect();
  std::vector<UniqueFd> back = client_->held("pod").value();
  ASSERT_EQ(back.size(), 1u);
  struct stat after {};
  ASSERT_EQ(::fstat(back[0].get(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
}

TEST_F(CrashTest, LaunchThatADyingKeeperDidNotAnswerIsUndone) {
  for (int i = 0; i < 20; ++i) {
    const std::string id = "c" + std::to_string(i);
    const pid_t keeper = client_->pid();
    const unsigned starts = client_->starts();
    const pid_t killer = ::fork();
    if (killer == 0) {
      ::usleep(static_cast<useconds_t>(i * 150));
      ::kill(keeper, SIGKILL);
      ::_exit(0);
    }
    Result<Started> started = try_launch(id, {.args = {"sleep", "100"}});
    ::waitpid(killer, nullptr, 0);
    wait_revived(starts + 1);
    pass_ms(20);
    if (started.ok()) {
      ASSERT_TRUE(client_->find(id).has_value());
      kill_process(*started, SIGKILL);
      EXPECT_EQ(wait_exit(id).exit_code, 128 + SIGKILL);
      forget(id);
    } else {
      EXPECT_TRUE(started.error().is(Errc::unavailable)) << started.error().message();
      // After a new keeper has cleaned up, the name can be used again.
      Result<Started> again = try_launch(id, {.args = {"true"}});
      const Deadline limit = soon();
      while (!again.ok() && again.error().is(Errc::already_exists) && !limit.passed()) {
        pass_ms(10);
        again = try_launch(id, {.args = {"true"}});
      }
      ASSERT_TRUE(again.ok()) << again.error().message();
      EXPECT_EQ(wait_exit(id).exit_code, 0);
      forget(id);
    }
  }
}

}  // namespace
}  // namespace berth::keeper::testing
