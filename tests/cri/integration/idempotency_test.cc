// SPDX-License-Identifier: Apache-2.0
// Calls that are repeated, also while the first one runs, and many calls at once.
#include <thread>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Idempotency : public Node {};

constexpr int kCallers = 8;
const std::string kUnknown(64, 'a');

TEST_F(Idempotency, StopAndRemoveTwiceAndOfUnknownIdsAreFine) {
  const std::string pod = run_pod();
  const std::string id = start(pod, {"sleep", "1000"});
  for (const std::string& container : {id, id, kUnknown}) EXPECT_TRUE(stop(container).ok());
  for (const std::string& container : {id, id, kUnknown}) EXPECT_TRUE(remove(container).ok());
  EXPECT_TRUE(stop(id).ok());
  for (const std::string& sandbox : {pod, pod, kUnknown}) EXPECT_TRUE(stop_pod(sandbox).ok());
  for (const std::string& sandbox : {pod, pod, kUnknown}) EXPECT_TRUE(remove_pod(sandbox).ok());
  EXPECT_TRUE(stop_pod(pod).ok());
}

TEST_F(Idempotency, RunPodSandboxWithTheSameMetadataGivesTheSamePod) {
  const v1::RunPodSandboxRequest request = pod_request();
  const auto first = call(&Runtime::RunPodSandbox, request);
  const auto second = call(&Runtime::RunPodSandbox, request);
  ASSERT_TRUE(first.ok() && second.ok()) << first.text() << second.text();
  EXPECT_EQ(first.value.pod_sandbox_id(), second.value.pod_sandbox_id());
  v1::RunPodSandboxRequest next = request;
  next.mutable_config()->mutable_metadata()->set_attempt(1);
  const auto other = call(&Runtime::RunPodSandbox, next);
  ASSERT_TRUE(other.ok()) << other.text();
  EXPECT_NE(other.value.pod_sandbox_id(), first.value.pod_sandbox_id());
  const auto listed = call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest());
  EXPECT_EQ(listed.value.items_size(), 2);
}

TEST_F(Idempotency, ParallelRunsOfOnePodMakeOnePod) {
  for (int round = 0; round < 5; ++round) {
    const v1::RunPodSandboxRequest request = pod_request();
    std::vector<std::string> ids(kCallers);
    std::vector<std::thread> callers;
    for (std::string& id : ids) {
      callers.emplace_back([&id, &request] {
        const auto answer = call(&Runtime::RunPodSandbox, request);
        id = answer.ok() ? answer.value.pod_sandbox_id() : "error: " + answer.text();
      });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 1u) << ids[0] << ids[1];
    EXPECT_EQ(ids[0].size(), 64u) << ids[0];
  }
  EXPECT_EQ(call(&Runtime::ListPodSandbox, v1::ListPodSandboxRequest()).value.items_size(), 5);
}

TEST_F(Idempotency, ParallelCreatesOfOneContainerMakeOneContainer) {
  const std::string pod = run_pod();
  for (int round = 0; round < 5; ++round) {
    const v1::CreateContainerRequest request = container_request(pod, {"sleep", "1000"});
    std::vector<std::string> ids(kCallers);
    std::vector<std::thread> callers;
    for (std::string& id : ids) {
      callers.emplace_back([&id, &request] {
        const auto answer = call(&Runtime::CreateContainer, request);
        id = answer.ok() ? answer.value.container_id() : "error: " + answer.text();
      });
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 1u) << ids[0] << ids[1];
    EXPECT_EQ(ids[0].size(), 64u) << ids[0];
  }
  const auto listed = call(&Runtime::ListContainers, v1::ListContainersRequest());
  EXPECT_EQ(listed.value.containers_size(), 5);
}

// A kubelet makes the next attempt of a container that ended, and of one that it has lost track of.
TEST_F(Idempotency, AnotherAttemptIsAnotherContainer) {
  v1::CreateContainerRequest request = container_request(run_pod(), {"sleep", "1000"});
  std::set<std::string> ids;
  for (const std::uint32_t attempt : {0U, 1U, 2U, 1U}) {
    request.mutable_config()->mutable_metadata()->set_attempt(attempt);
    const auto answer = call(&Runtime::CreateContainer, request);
    ASSERT_TRUE(answer.ok()) << answer.text();
    ids.insert(answer.value.container_id());
    EXPECT_EQ(status(answer.value.container_id()).metadata().attempt(), attempt);
  }
  EXPECT_EQ(ids.size(), 3u);
}

TEST_F(Idempotency, StartingARunningContainerAgainIsFineAndAnEndedOneIsNot) {
  const std::string pod = run_pod();
  const std::string id = start(pod, {"sleep", "1000"});
  const pid_t pid = pid_of(id);
  EXPECT_TRUE(try_start(id).ok());
  EXPECT_EQ(pid_of(id), pid);
  ASSERT_TRUE(stop(id).ok());
  EXPECT_EQ(try_start(id).code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(Idempotency, ParallelStopsAndRemovesOfOnePodAllSucceed) {
  const std::string pod = run_pod();
  for (int i = 0; i < 3; ++i) start(pod, {"sleep", "1000"});
  std::vector<std::string> failures(kCallers);
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    callers.emplace_back([&failures, i, &pod] {
      const grpc::Status status = i % 2 == 0 ? stop_pod(pod).status : remove_pod(pod).status;
      failures[static_cast<std::size_t>(i)] = status.error_message();
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
  EXPECT_TRUE(remove_pod(pod).ok());
}

TEST_F(Idempotency, WholeLivesInParallelLeaveNothing) {
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i) {
    const v1::RunPodSandboxRequest request = pod_request();
    callers.emplace_back([this, request] {
      for (int round = 0; round < 3; ++round) {
        const auto made = call(&Runtime::RunPodSandbox, request);
        ASSERT_TRUE(made.ok()) << made.text();
        const std::string pod = made.value.pod_sandbox_id();
        v1::CreateContainerRequest container;
        container.set_pod_sandbox_id(pod);
        container.mutable_config()->mutable_metadata()->set_name("c");
        container.mutable_config()->mutable_image()->set_image(kBusybox);
        container.mutable_config()->add_command("true");
        const auto created = call(&Runtime::CreateContainer, container);
        ASSERT_TRUE(created.ok()) << created.text();
        const auto started = try_start(created.value.container_id());
        EXPECT_TRUE(started.ok()) << started.text();
        const auto stopped = stop_pod(pod);
        EXPECT_TRUE(stopped.ok()) << stopped.text();
        const auto removed = remove_pod(pod);
        EXPECT_TRUE(removed.ok()) << removed.text();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(leftovers(), "");
}

}  // namespace
}  // namespace berth::node_test
