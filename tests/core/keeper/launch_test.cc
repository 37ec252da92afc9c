// SPDX-License-Identifier: Apache-2.0
// Ordinary use of the keeper: start, output, exit, forget.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "tests/core/keeper/keeper_node.h"

namespace berth::keeper::testing {
namespace {

TEST_F(KeeperTest, ReportsExitCodeAfterTheWholeOutputIsInTheLog) {
  const Started started = shell("c1", "echo out; echo err >&2; exit 7");
  EXPECT_GT(started.pid, 1);
  ASSERT_EQ(started.stages.size(), 6U);
  EXPECT_EQ(started.stages[2].first, "rootfs");
  EXPECT_GE(started.stages[0].second, 0);
  EXPECT_GE(started.stages[5].second, started.stages[0].second);
  const Exit exit = wait_exit("c1");
  EXPECT_EQ(exit.exit_code, 7);
  EXPECT_GE(exit.finished_at_ns, started.started_at_ns - kNanosecondsPerSecond);
  const std::string log = log_of("c1");
  EXPECT_EQ(joined_log(log, "stdout"), "out\n") << log;
  EXPECT_EQ(joined_log(log, "stderr"), "err\n") << log;
}

TEST_F(KeeperTest, DeathBySignalIs128PlusTheSignal) {
  const Started started = shell("c1", "sleep 100");
  kill_process(started, SIGKILL);
  EXPECT_EQ(wait_exit("c1").exit_code, 128 + SIGKILL);
}

// The process has neither the keeper's handlers and mask nor those that the keeper started with.
TEST_F(KeeperTest, SignalsAreAtTheirDefaultsAndUnblocked) {
  launch("c1", {.args = {"grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"}});
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  EXPECT_EQ(joined_log(log_of("c1")),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
}

TEST_F(KeeperTest, FailedLaunchNamesItsStepAndLeavesNothing) {
  const int fds = count_fds(client_->pid());
  Result<Started> started = try_launch("c1", {.args = {"no-such-command"}});
  ASSERT_FALSE(started.ok());
  EXPECT_TRUE(started.error().is(Errc::not_found)) << started.error().message();
  EXPECT_NE(started.error().message().find("no-such-command"), std::string::npos);
  EXPECT_FALSE(client_->find("c1").has_value());
  EXPECT_TRUE(eventually([&] { return count_fds(client_->pid()) == fds; }));
  // The name is free again.
  shell("c1", "exit 0");
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
}

TEST_F(KeeperTest, SecondLaunchOfANameIsRefused) {
  shell("c1", "sleep 100");
  Result<Started> again = try_launch("c1", {.args = {"true"}});
  ASSERT_FALSE(again.ok());
  EXPECT_TRUE(again.error().is(Errc::already_exists));
}

TEST_F(KeeperTest, RunningProcessIsNotForgotten) {
  shell("c1", "sleep 100");
  Result<void> forgotten = run(client_->forget("c1", soon()));
  ASSERT_FALSE(forgotten.ok());
  EXPECT_TRUE(forgotten.error().is(Errc::failed_precondition));
  EXPECT_TRUE(run(client_->forget("unknown", soon())).ok());
}

TEST_F(KeeperTest, OpenStdinIsReadUntilItIsClosed) {
  launch("c1", {.args = {"cat"}, .open_stdin = true});
  const auto known = client_->find("c1");
  ASSERT_TRUE(known.has_value());
  ASSERT_EQ(::write(known->stdin_fd, "one\n", 4), 4);
  ASSERT_TRUE(eventually([&] { return joined_log(log_of("c1")) == "one\n"; })) << log_of("c1");
  ASSERT_TRUE(run(client_->close_stdin("c1", soon())).ok());
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
}

TEST_F(KeeperTest, WithoutOpenStdinTheProcessReadsNothing) {
  launch("c1", {.args = {"cat"}});
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
}

TEST_F(KeeperTest, TerminalOutputIsLoggedAsStdout) {
  launch("c1",
         {.args = {"sh", "-c", "tty; echo two >&2; read line; echo got $line"}, .terminal = true});
  const auto known = client_->find("c1");
  ASSERT_TRUE(known.has_value());
  ASSERT_GE(known->stdin_fd, 0);
  ASSERT_EQ(::write(known->stdin_fd, "hello\n", 6), 6);
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
  const std::string text = joined_log(log_of("c1"));
  EXPECT_NE(text.find("/dev/pts/0\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("two\r\n"), std::string::npos) << text;
  EXPECT_NE(text.find("got hello\r\n"), std::string::npos) << text;
}

TEST_F(KeeperTest, WithoutALogTheOutputIsDiscarded) {
  launch("c1", {.args = {"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done"},
                .logged = false});
  EXPECT_EQ(wait_exit("c1").exit_code, 0);
}

TEST_F(KeeperTest, GrandchildHoldingThePipeDelaysNeitherExitNorForget) {
  // In the host's PID namespace the grandchild outlives the container's first process.
  const auto host_pids = [](container::LaunchContainer& spec) {
    spec.namespaces.pid.mode = container::PlanNamespaceMode::host;
  };
  launch("c1", {.args = {"sh", "-c", "sleep 300 & echo $!; exit 3"}, .change = host_pids});
  EXPECT_EQ(wait_exit("c1").exit_code, 3);
  const std::string pid = joined_log(log_of("c1"));
  forget("c1");
  ASSERT_EQ(::kill(std::stoi(pid), SIGKILL), 0);
  // The keeper is its parent now and reaps it without a report.
  EXPECT_TRUE(eventually([&] { return ::kill(std::stoi(pid), 0) != 0; }));
}

TEST_F(KeeperTest, HeldDescriptorsComeBackToANewAgent) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::vector<UniqueFd> fds;
  fds.emplace_back(ends[0]);
  fds.emplace_back(ends[1]);
  ASSERT_TRUE(run(client_->hold("pod-1", std::move(fds), soon())).ok());
  drop_client();
  connect();
  EXPECT_EQ(client_->starts(), 0u);
  std::vector<UniqueFd> back = client_->held("pod-1").value();
  ASSERT_EQ(back.size(), 2u);
  ASSERT_EQ(::write(back[1].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(back[0].get(), &byte, 1), 1);
  ASSERT_TRUE(run(client_->drop("pod-1", soon())).ok());
  EXPECT_TRUE(client_->held("pod-1").value().empty());
}

// The process may end before the helper that created it, which then still has the launch's report
// channel open. Both programs do next to nothing, so this happens within some hundred rounds.
TEST_F(KeeperTest, LaunchSucceedsWhenTheProcessEndsBeforeItsHelper) {
  const Started target = shell("target", "exec sleep 1000");
  std::vector<std::string> args = {"true"};
  ASSERT_GT(target.pid, 1);
  const UniqueFd pidfd = sys::pidfd_open(target.pid).value();
  const auto join = [&pidfd](container::LaunchContainer& spec) {
    spec.namespaces.pid = {container::PlanNamespaceMode::join, pidfd.get()};
  };
  for (int i = 0; i < 2000; ++i) {
    const std::string id = "c" + std::to_string(i);
    Result<Started> started =
        try_launch(id, {.args = args, .logged = false, .terminal = false, .change = join});
    ASSERT_TRUE(started.ok()) << i << ": " << started.error().message();
    ASSERT_EQ(wait_exit(id).exit_code, 0) << i;
    forget(id);
  }
}

TEST_F(KeeperTest, FiveHundredLaunchesLeakNoDescriptor) {
  const auto once = [this](int i) {
    const std::string id = "c" + std::to_string(i);
    Result<Started> started =
        i % 5 == 4 ? try_launch(id, {.args = {"missing"}}) : try_launch(id, {.args = {"true"}});
    ASSERT_EQ(started.ok(), i % 5 != 4);
    if (!started.ok()) return;
    EXPECT_EQ(wait_exit(id).exit_code, 0);
    forget(id);
  };
  once(0);
  once(4);
  const int before = count_fds(client_->pid());
  const int ours_before = count_fds(::getpid());
  for (int i = 0; i < 500; ++i) once(i);
  EXPECT_TRUE(eventually([&] { return count_fds(client_->pid()) == before; }))
      << count_fds(client_->pid()) << " against " << before;
  EXPECT_EQ(count_fds(::getpid()), ours_before);
}

}  // namespace
}  // namespace berth::keeper::testing
