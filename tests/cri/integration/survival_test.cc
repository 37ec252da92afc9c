// SPDX-License-Identifier: Apache-2.0
// berthd killed by SIGKILL at seeded random moments of every lifecycle call, and restarted:
// containers go on with the same process, logs are whole, exit codes are right, records and kernel
// agree.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <sstream>
#include <thread>

#include "core/base/units.h"
#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

constexpr int kRounds = 30;

class Survival : public Node {
 protected:
  static std::mt19937_64& random() {
    static std::mt19937_64 engine = [] {
      const char* given = std::getenv("BERTH_SEED");
      const std::uint64_t seed =
          given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
      std::fprintf(stderr, "BERTH_SEED=%llu\n", static_cast<unsigned long long>(seed));
      return std::mt19937_64(seed);
    }();
    return engine;
  }

  static void sleep_us(std::uint64_t microseconds_max) {
    const std::uint64_t us = random()() % (microseconds_max + 1);
    std::this_thread::sleep_for(std::chrono::microseconds(us));
  }

  // The last summary that the reconciler logged.
  static std::string last_reconcile() {
    const std::string log = berthd_log();
    const std::size_t at = log.rfind("reconcile: pods=");
    return at == std::string::npos ? "no reconcile" : log.substr(at, log.find('\n', at) - at);
  }

  // A second start has nothing left to mend.
  static void expect_settled() {
    kill_berthd();
    ASSERT_TRUE(start_berthd());
    EXPECT_NE(last_reconcile().find("mended=0"), std::string::npos) << last_reconcile();
  }

  static constexpr const char* kCounter = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";

  // Numbers from 1 on, none missing or twice; gives the last.
  static int expect_counted(const std::string& id) {
    std::istringstream lines(stdout_of(id));
    std::string line;
    int expected = 0;
    while (std::getline(lines, line)) {
      EXPECT_EQ(line, std::to_string(++expected));
      if (line != std::to_string(expected)) break;
    }
    return expected;
  }
};

// One life of a pod, as far as it comes before the connection breaks.
void live(Client& client, const v1::RunPodSandboxRequest& pod,
          v1::CreateContainerRequest container) {
  const auto made = client.call(&Runtime::RunPodSandbox, pod, 10);
  if (!made.ok()) return;
  container.set_pod_sandbox_id(made.value.pod_sandbox_id());
  const auto created = client.call(&Runtime::CreateContainer, container, 10);
  if (!created.ok()) return;
  v1::StartContainerRequest start;
  start.set_container_id(created.value.container_id());
  if (!client.call(&Runtime::StartContainer, start, 10).ok()) return;
  v1::ExecSyncRequest exec;
  exec.set_container_id(start.container_id());
  exec.add_cmd("true");
  if (!client.call(&Runtime::ExecSync, exec, 10).ok()) return;
  v1::StopContainerRequest stop;
  stop.set_container_id(start.container_id());
  if (!client.call(&Runtime::StopContainer, stop, 10).ok()) return;
  v1::RemoveContainerRequest remove;
  remove.set_container_id(start.container_id());
  if (!client.call(&Runtime::RemoveContainer, remove, 10).ok()) return;
  v1::StopPodSandboxRequest stop_pod;
  stop_pod.set_pod_sandbox_id(made.value.pod_sandbox_id());
  if (!client.call(&Runtime::StopPodSandbox, stop_pod, 10).ok()) return;
  v1::RemovePodSandboxRequest remove_pod;
  remove_pod.set_pod_sandbox_id(made.value.pod_sandbox_id());
  client.call(&Runtime::RemovePodSandbox, remove_pod, 10);
}

TEST_F(Survival, AgentKilledDuringEveryCallLeavesNothingHalfMadeAndNoContainerDies) {
  const std::string pod = run_pod();
  const std::string counter = start_script(pod, kCounter);
  const pid_t pid = pid_of(counter);
  remember_holdings();
  for (int round = 0; round < kRounds && !HasFailure(); ++round) {
    Client client(endpoint());
    const auto sandbox = pod_request();
    const auto container = container_request("", {"sleep", "1000"});
    std::thread caller([&] { live(client, sandbox, container); });
    sleep_us(25'000);
    kill_berthd();
    caller.join();
    ASSERT_TRUE(start_berthd());
    EXPECT_EQ(status(counter).state(), v1::ContainerState::CONTAINER_RUNNING) << round;
    EXPECT_EQ(pid_of(counter), pid);
    EXPECT_EQ(::kill(pid, 0), 0);
    // What the client was told, or a whole thing: never a half one.
    const auto pods = call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest());
    for (const v1::PodSandbox& item : pods.value.items()) {
      if (item.id() == pod) continue;
      EXPECT_TRUE(stop_pod(item.id()).ok());
      EXPECT_TRUE(remove_pod(item.id()).ok());
    }
    EXPECT_EQ(leftovers(), "") << "round " << round << "\n" << last_reconcile();
  }
  expect_settled();
  ASSERT_TRUE(stop(counter).ok());
  EXPECT_GT(expect_counted(counter), 10);
  // What was remembered above holds the counting pod: without it there is less, and nothing more.
  remove_all_pods();
  const std::string rest = leftovers();
  EXPECT_EQ(rest.find("more:"), std::string::npos) << rest;
  remember_holdings();
}

TEST_F(Survival, ExitWhileTheAgentWasAwayIsRecordedRight) {
  const std::string pod = run_pod();
  for (const int code : {0, 3, 42}) {
    const std::string id = start_script(pod, "sleep 0.3; echo last; exit " + std::to_string(code));
    const pid_t pid = pid_of(id);
    kill_berthd();
    ASSERT_TRUE(wait_until([pid] { return ::kill(pid, 0) != 0; }, 10));
    const std::int64_t gone_at = realtime_now_ns();
    ASSERT_TRUE(start_berthd());
    const v1::ContainerStatus ended = wait_exited(id);
    EXPECT_EQ(ended.exit_code(), code);
    EXPECT_EQ(ended.reason(), code == 0 ? "Completed" : "Error");
    EXPECT_GT(ended.finished_at(), ended.started_at());
    EXPECT_LE(ended.finished_at(), gone_at) << "when it ended, not when the agent heard of it";
    EXPECT_EQ(stdout_of(id), "last\n");
  }
  expect_settled();
}

TEST_F(Survival, CommandOfACallThatDiedWithTheAgentIsEnded) {
  const std::string id = start(run_pod(), {"sleep", "1000"});
  v1::ExecSyncRequest request;
  request.set_container_id(id);
  for (const char* word : {"sleep", "4325"}) request.add_cmd(word);
  std::thread caller([&request] { Client(endpoint()).call(&Runtime::ExecSync, request, 20); });
  const auto runs = [] { return shell("grep -ls 432[5] /proc/[0-9]*/cmdline").out != ""; };
  EXPECT_TRUE(wait_until(runs, 5));
  kill_berthd();
  caller.join();
  ASSERT_TRUE(start_berthd());
  EXPECT_TRUE(wait_until([&runs] { return !runs(); }, 5));
  EXPECT_EQ(status(id).state(), v1::ContainerState::CONTAINER_RUNNING);
}

TEST_F(Survival, UpgradeByRestartKeepsContainersAndTheirPods) {
  const std::string pod = run_pod();
  const std::string id = start_script(pod, kCounter);
  const std::string unstarted = create(pod, {"sh", "-c", "echo started later"});
  const pid_t pid = pid_of(id);
  const pid_t keeper = keeper_pid();
  // The connection of this test's client stays open and idle, as kubelet's does.
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(terminate_berthd(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(keeper_pid(), keeper);
  EXPECT_EQ(pid_of(id), pid);
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_READY);
  EXPECT_EQ(exec(id, "echo in").value.stdout(), "in\n");
  ASSERT_TRUE(try_start(unstarted).ok());
  wait_exited(unstarted);
  EXPECT_EQ(stdout_of(unstarted), "started later\n");
  EXPECT_EQ(printed(pod, "echo new"), "new\n");
  ASSERT_TRUE(stop(id).ok());
  EXPECT_GT(expect_counted(id), 5);
}

// What an upgrade finds on a node: a pod being deleted, its container deaf to SIGTERM.
TEST_F(Survival, EndOfTheAgentNeitherWaitsForALongStopNorCutsItShort) {
  const std::string pod = run_pod();
  const std::string id =
      start_script(pod, "trap 'echo told' TERM; echo deaf; while :; do sleep 0.1; done");
  const pid_t pid = pid_of(id);
  ASSERT_TRUE(wait_until([&] { return stdout_of(id) == "deaf\n"; }, 5));
  v1::StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(600);
  Client other(endpoint());
  Answer<v1::StopContainerResponse> stopped;
  std::thread stopper([&] { stopped = other.call(&Runtime::StopContainer, request, 60); });
  EXPECT_TRUE(wait_until([&] { return stdout_of(id) == "deaf\ntold\n"; }, 10));
  EXPECT_EQ(terminate_berthd(), 0);
  stopper.join();
  EXPECT_FALSE(stopped.ok());
  EXPECT_EQ(::kill(pid, 0), 0);
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(pid_of(id), pid);
  ASSERT_TRUE(stop(id).ok());
  EXPECT_EQ(wait_exited(id).exit_code(), 137);
}

// Stopped while in scope, so that whoever asks the keeper waits.
class StoppedKeeper {
 public:
  explicit StoppedKeeper(pid_t keeper) : keeper_(keeper) { ::kill(keeper_, SIGSTOP); }
  ~StoppedKeeper() { ::kill(keeper_, SIGCONT); }

 private:
  pid_t keeper_;
};

TEST_F(Survival, EndOfTheAgentUndoesAPodWhoseMakingDoesNotEnd) {
  const std::string other = run_pod();
  const auto request = pod_request([](v1::PodSandboxConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  });
  const pid_t keeper = keeper_pid();
  Client client(endpoint());
  Answer<v1::RunPodSandboxResponse> made;
  {
    const StoppedKeeper stopped(keeper);
    std::thread caller([&] { made = client.call(&Runtime::RunPodSandbox, request, 60); });
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(terminate_berthd(), 0) << berthd_log();
    caller.join();
  }
  EXPECT_FALSE(made.ok());
  ASSERT_TRUE(start_berthd());
  const auto pods = call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest());
  ASSERT_EQ(pods.value.items_size(), 1);
  EXPECT_EQ(pods.value.items(0).id(), other);
  const auto again = call(&Runtime::RunPodSandbox, request);
  EXPECT_TRUE(again.ok()) << again.text();
}

TEST_F(Survival, RepeatedRunAfterACrashGivesAWholePod) {
  for (int round = 0; round < 8; ++round) {
    const auto request = pod_request();
    Client client(endpoint());
    std::thread caller([&] { client.call(&Runtime::RunPodSandbox, request, 10); });
    sleep_us(6'000);
    kill_berthd();
    caller.join();
    ASSERT_TRUE(start_berthd());
    const auto again = call(&Runtime::RunPodSandbox, request);
    ASSERT_TRUE(again.ok()) << again.text();
    EXPECT_EQ(printed(again.value.pod_sandbox_id(), "hostname"),
              request.config().hostname() + "\n");
  }
}

}  // namespace
}  // namespace berth::node_test
