// SPDX-License-Identifier: Apache-2.0
// berth-keeper killed by SIGKILL, alone and together with berthd. Containers and their logs outlive
// it as long as one of the two lives; an exit code nobody could see is recorded as unknown.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

constexpr int kRounds = 20;

class KeeperSurvival : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    const char* given = std::getenv("BERTH_SEED");
    const std::uint64_t seed =
        given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
    random_.seed(seed);
    std::fprintf(stderr, "BERTH_SEED=%llu\n", static_cast<unsigned long long>(seed));
  }

  void sleep_us(std::uint64_t microseconds_max) {
    std::this_thread::sleep_for(std::chrono::microseconds(random_() % (microseconds_max + 1)));
  }

  static bool new_keeper(pid_t old) {
    return wait_until(
        [old] {
          const pid_t now = keeper_pid();
          return now > 1 && now != old && ::kill(now, 0) == 0;
        },
        10);
  }

  std::mt19937_64 random_;
};

TEST_F(KeeperSurvival, ContainerLosesNoLineAndNotItsExitCode) {
  const std::string pod = run_pod();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    const std::string id = start_script(
        pod, "i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.002; done; exit 6");
    sleep_us(400'000);
    const pid_t old = keeper_pid();
    kill_keeper();
    EXPECT_TRUE(new_keeper(old)) << "round " << round;
    // The agent lives, and what a keeper leaves behind becomes its child.
    const v1::ContainerStatus ended = wait_exited(id);
    EXPECT_EQ(ended.exit_code(), 6) << ended.reason();
    EXPECT_EQ(ended.reason(), "Error");
    std::string expected;
    for (int i = 1; i <= 200; ++i) expected += std::to_string(i) + "\n";
    const bool whole = stdout_of(id) == expected;
    EXPECT_TRUE(whole) << "round " << round << ":\n" << stdout_of(id).substr(0, 2000);
    ASSERT_TRUE(remove(id).ok());
  }
}

TEST_F(KeeperSurvival, PodsStayUsable) {
  const std::string pod = run_pod();
  const std::string id = start(pod, {"sleep", "1000"});
  const pid_t pid = pid_of(id);
  const pid_t old = keeper_pid();
  kill_keeper();
  ASSERT_TRUE(new_keeper(old));
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_EQ(status(id).state(), v1::ContainerState::CONTAINER_RUNNING);
  EXPECT_EQ(exec(id, "echo in").value.stdout(), "in\n");
  EXPECT_EQ(printed(pod, "hostname; echo new"), pod_status(pod).metadata().name() + "\nnew\n");
  const auto stopped = stop(id, 1);
  EXPECT_TRUE(stopped.ok()) << stopped.text();
  EXPECT_EQ(status(id).state(), v1::ContainerState::CONTAINER_EXITED);
}

TEST_F(KeeperSurvival, KilledDuringStartsAnswersAndLeavesNothing) {
  const std::string pod = run_pod();
  for (int round = 0; round < 10 && !HasFailure(); ++round) {
    const std::string id = create(pod, {"sleep", "1000"});
    v1::StartContainerRequest request;
    request.set_container_id(id);
    Answer<v1::StartContainerResponse> answer;
    Client other(endpoint());
    std::thread caller([&] { answer = other.call(&Runtime::StartContainer, request); });
    sleep_us(6'000);
    const pid_t old = keeper_pid();
    kill_keeper();
    caller.join();
    ASSERT_TRUE(new_keeper(old)) << "round " << round;
    // It runs if that was the answer, and otherwise nothing of it does.
    const v1::ContainerStatus now = status(id);
    EXPECT_EQ(now.state() == v1::ContainerState::CONTAINER_RUNNING, answer.ok())
        << "round " << round << ", state " << now.state() << ": " << answer.text();
    if (answer.ok()) {
      EXPECT_EQ(::kill(pid_of(id), 0), 0);
    }
    const auto removed = remove(id);
    EXPECT_TRUE(removed.ok()) << removed.text();
  }
}

TEST_F(KeeperSurvival, BothKilledTheLivingGoOnAndWhatEndedUnseenIsUnknown) {
  const std::string pod = run_pod();
  const std::string going_on = start(pod, {"sleep", "1000"});
  const std::string ending = start(pod, {"sleep", "1000"});
  const pid_t pid = pid_of(going_on);
  const pid_t unseen = pid_of(ending);
  const pid_t keeper = keeper_pid();
  kill_berthd();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  // Reaped: the node's first process does that, as an init does.
  const auto gone = [](pid_t who) { return ::kill(who, 0) != 0; };
  ASSERT_TRUE(wait_until([&] { return gone(keeper); }, 5));
  ASSERT_EQ(::kill(unseen, SIGKILL), 0);
  ASSERT_TRUE(wait_until([&] { return gone(unseen); }, 5));
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(status(going_on).state(), v1::ContainerState::CONTAINER_RUNNING);
  EXPECT_EQ(pid_of(going_on), pid);
  EXPECT_EQ(exec(going_on, "echo in").value.stdout(), "in\n");
  const v1::ContainerStatus after = wait_exited(ending);
  EXPECT_EQ(after.reason(), "ExitCodeUnknown");
  EXPECT_EQ(after.exit_code(), 255);
  EXPECT_NE(after.message(), "");
  const auto removed = remove_pod(pod);
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_EQ(printed(run_pod(), "echo fine"), "fine\n");
}

TEST_F(KeeperSurvival, AfterBothDiedLogsGoOn) {
  const std::string pod = run_pod();
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) {
    ids.push_back(start_script(pod, "while :; do echo tick; usleep 50000; done"));
    ASSERT_TRUE(wait_until([&] { return !stdout_of(ids.back()).empty(); }, 10));
  }
  const pid_t keeper = keeper_pid();
  kill_berthd();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(start_berthd());
  for (const std::string& id : ids) {
    ASSERT_EQ(status(id).state(), v1::ContainerState::CONTAINER_RUNNING);
    const std::size_t before = stdout_of(id).size();
    EXPECT_TRUE(wait_until([&] { return stdout_of(id).size() > before + 20; }, 10));
  }
}

}  // namespace
}  // namespace berth::node_test
