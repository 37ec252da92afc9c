// SPDX-License-Identifier: Apache-2.0
// States, timestamps, exit codes and reasons of containers and pods, and the filters of the lists.
#include <signal.h>

#include <ctime>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Lifecycle : public Node {};

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

TEST_F(Lifecycle, ContainerGoesThroughItsStatesWithTimestamps) {
  const std::int64_t begin = now_ns();
  const std::string pod = run_pod();
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_READY);
  EXPECT_GE(pod_status(pod).created_at(), begin);
  const std::string id = create(pod, {"sleep", "1000"});
  v1::ContainerStatus made = status(id);
  EXPECT_EQ(made.state(), v1::ContainerState::CONTAINER_CREATED);
  EXPECT_GE(made.created_at(), begin);
  EXPECT_EQ(made.started_at(), 0);
  EXPECT_EQ(made.finished_at(), 0);
  EXPECT_EQ(made.image_id().rfind("sha256:", 0), 0u) << made.image_id();
  EXPECT_NE(made.image_ref(), "");
  ASSERT_TRUE(try_start(id).ok());
  const v1::ContainerStatus running = status(id);
  EXPECT_EQ(running.state(), v1::ContainerState::CONTAINER_RUNNING);
  EXPECT_GE(running.started_at(), made.created_at());
  EXPECT_EQ(running.finished_at(), 0);
  ASSERT_TRUE(stop(id, 0).ok());
  const v1::ContainerStatus ended = status(id);
  EXPECT_EQ(ended.state(), v1::ContainerState::CONTAINER_EXITED);
  EXPECT_GE(ended.finished_at(), running.started_at());
  EXPECT_LE(ended.finished_at(), now_ns());
  ASSERT_TRUE(remove(id).ok());
  v1::ContainerStatusRequest gone;
  gone.set_container_id(id);
  EXPECT_EQ(call(&Runtime::ContainerStatus, gone).code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_NOTREADY);
  ASSERT_TRUE(remove_pod(pod).ok());
  v1::PodSandboxStatusRequest gone_pod;
  gone_pod.set_pod_sandbox_id(pod);
  EXPECT_EQ(call(&Runtime::PodSandboxStatus, gone_pod).code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Lifecycle, ExitCodeAndReasonSayHowItEnded) {
  const std::string pod = run_pod();
  const std::string good = start_script(pod, "exit 0");
  const std::string bad = start_script(pod, "exit 3");
  const std::string killed = start(pod, {"sleep", "1000"});
  EXPECT_EQ(wait_exited(good).exit_code(), 0);
  EXPECT_EQ(wait_exited(good).reason(), "Completed");
  EXPECT_EQ(wait_exited(bad).exit_code(), 3);
  EXPECT_EQ(wait_exited(bad).reason(), "Error");
  ASSERT_EQ(::kill(pid_of(killed), SIGKILL), 0);
  EXPECT_EQ(wait_exited(killed).exit_code(), 137);
  EXPECT_EQ(wait_exited(killed).reason(), "Error");
}

TEST_F(Lifecycle, StopGivesTheGracePeriodAndThenKills) {
  const std::string pod = run_pod();
  const std::string polite =
      start_script(pod, "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
  ASSERT_TRUE(wait_until([&] { return stdout_of(polite) == "up\n"; }, 10));
  const auto asked = stop(polite, 10);
  EXPECT_TRUE(asked.ok()) << asked.text();
  EXPECT_LT(asked.seconds, 5);
  EXPECT_EQ(status(polite).exit_code(), 7);
  const std::string deaf = start_script(pod, "trap '' TERM; echo up; while :; do sleep 0.05; done");
  ASSERT_TRUE(wait_until([&] { return stdout_of(deaf) == "up\n"; }, 10));
  const auto forced = stop(deaf, 1);
  EXPECT_TRUE(forced.ok()) << forced.text();
  EXPECT_GE(forced.seconds, 0.9);
  EXPECT_LT(forced.seconds, 6);
  EXPECT_EQ(status(deaf).exit_code(), 137);
}

TEST_F(Lifecycle, ImageOrRequestChoosesTheStopSignal) {
  const std::string pod = run_pod();
  const std::string id = start_script(
      pod, "trap 'exit 9' USR1; trap 'exit 1' TERM; echo up; while :; do sleep 0.05; done",
      [](v1::ContainerConfig& config) { config.set_stop_signal(v1::Signal::SIGNAL_SIGUSR1); });
  ASSERT_TRUE(wait_until([&] { return stdout_of(id) == "up\n"; }, 10));
  ASSERT_TRUE(stop(id, 10).ok());
  EXPECT_EQ(status(id).exit_code(), 9);
}

// The image says: no entrypoint, a user whose line in passwd ends early, and "quit" as stop signal.
TEST_F(Lifecycle, AnImageThatIsWrittenSloppilyRuns) {
  const std::string pod = run_pod();
  const std::string id = start(pod, {}, [](v1::ContainerConfig& config) {
    config.mutable_image()->set_image("127.0.0.1:5000/sloppy:latest");
  });
  const std::string up = "1234\n1235\n1235 77\n/\n";
  ASSERT_TRUE(wait_until([&] { return stdout_of(id) == up; }, 10)) << stdout_of(id);
  EXPECT_EQ(status(id).stop_signal(), v1::Signal::SIGNAL_SIGQUIT);
  ASSERT_TRUE(stop(id, 10).ok());
  EXPECT_EQ(stdout_of(id), up + "quit\n");
  EXPECT_EQ(status(id).exit_code(), 7);
}

TEST_F(Lifecycle, StoppingThePodEndsItsContainersAndRemovingTakesThem) {
  const std::string pod = run_pod();
  const std::string one = start(pod, {"sleep", "1000"});
  const std::string two = start(pod, {"sleep", "1000"});
  const std::string unstarted = create(pod, {"sleep", "1000"});
  const pid_t pid = pid_of(one);
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_EQ(status(one).state(), v1::ContainerState::CONTAINER_EXITED);
  EXPECT_EQ(status(two).exit_code(), 137);
  EXPECT_EQ(status(unstarted).state(), v1::ContainerState::CONTAINER_CREATED);
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_EQ(try_start(unstarted).code(), grpc::StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(remove_pod(pod).ok());
  EXPECT_EQ(call(&Runtime::ListContainers, v1::ListContainersRequest()).value.containers_size(), 0);
}

TEST_F(Lifecycle, RemovingARunningContainerEndsItByForce) {
  const std::string pod = run_pod();
  const std::string id = start(pod, {"sleep", "1000"});
  const pid_t pid = pid_of(id);
  const auto removed = remove(id);
  EXPECT_TRUE(removed.ok()) << removed.text();
  EXPECT_EQ(::kill(pid, 0), -1);
}

// Where the PID namespace goes on, the kernel does not end what the first process left.
TEST_F(Lifecycle, WhatTheFirstProcessLeavesInASharedPidNamespaceEndsWithIt) {
  for (const v1::NamespaceMode mode : {v1::NamespaceMode::POD, v1::NamespaceMode::NODE}) {
    const std::string pod = run_pod([mode](v1::PodSandboxConfig& config) {
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
          mode);
    });
    const auto shared = [mode](v1::ContainerConfig& config) {
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
          mode);
    };
    const std::string id = start_script(pod, "sleep 98765 & echo $!; exit 3", shared);
    EXPECT_EQ(wait_exited(id).exit_code(), 3);
    EXPECT_TRUE(
        wait_until([] { return shell("grep -l 9876[5] /proc/[0-9]*/cmdline").out.empty(); }, 5))
        << v1::NamespaceMode_Name(mode);
    EXPECT_TRUE(stop(id).ok());
    const auto removed = remove(id);
    EXPECT_TRUE(removed.ok()) << removed.text();
    EXPECT_TRUE(stop_pod(pod).ok());
    EXPECT_TRUE(remove_pod(pod).ok());
  }
}

TEST_F(Lifecycle, ContainerListsAreFilteredByIdStateSandboxAndLabels) {
  const auto labelled = [](const char* value) {
    return [value](v1::ContainerConfig& config) { (*config.mutable_labels())["role"] = value; };
  };
  const std::string pod = run_pod();
  const std::string other_pod = run_pod();
  const std::string running = start(pod, {"sleep", "1000"}, labelled("web"));
  const std::string made = create(pod, {"sleep", "1000"}, labelled("db"));
  const std::string elsewhere = create(other_pod, {"sleep", "1000"}, labelled("web"));
  const auto listed = [](const std::function<void(v1::ContainerFilter&)>& narrow) {
    v1::ListContainersRequest request;
    narrow(*request.mutable_filter());
    std::set<std::string> ids;
    const auto answer = call(&Runtime::ListContainers, request);
    for (const auto& item : answer.value.containers()) {
      ids.insert(item.id());
    }
    return ids;
  };
  using Ids = std::set<std::string>;
  EXPECT_EQ(listed([](auto&) {}), (Ids{running, made, elsewhere}));
  EXPECT_EQ(listed([&](auto& filter) { filter.set_id(made); }), Ids{made});
  EXPECT_EQ(listed([&](auto& filter) { filter.set_pod_sandbox_id(pod); }), (Ids{running, made}));
  EXPECT_EQ(listed([](auto& filter) {
              filter.mutable_state()->set_state(v1::ContainerState::CONTAINER_RUNNING);
            }),
            Ids{running});
  EXPECT_EQ(listed([](auto& filter) { (*filter.mutable_label_selector())["role"] = "web"; }),
            (Ids{running, elsewhere}));
  EXPECT_EQ(listed([&](auto& filter) {
              (*filter.mutable_label_selector())["role"] = "web";
              filter.set_pod_sandbox_id(pod);
            }),
            Ids{running});
  EXPECT_EQ(listed([](auto& filter) { (*filter.mutable_label_selector())["role"] = "none"; }),
            Ids{});
}

TEST_F(Lifecycle, PodListsAreFilteredByIdStateAndLabels) {
  const auto labelled = [](const char* value) {
    return [value](v1::PodSandboxConfig& config) { (*config.mutable_labels())["app"] = value; };
  };
  const std::string one = run_pod(labelled("a"));
  const std::string two = run_pod(labelled("b"));
  ASSERT_TRUE(stop_pod(two).ok());
  const auto listed = [](const std::function<void(v1::PodSandboxFilter&)>& narrow) {
    v1::ListPodSandboxRequest request;
    narrow(*request.mutable_filter());
    std::set<std::string> ids;
    const auto answer = call(&Runtime::ListPodSandbox, request);
    for (const auto& item : answer.value.items()) {
      ids.insert(item.id());
    }
    return ids;
  };
  using Ids = std::set<std::string>;
  EXPECT_EQ(listed([](auto&) {}), (Ids{one, two}));
  EXPECT_EQ(listed([&](auto& filter) { filter.set_id(two); }), Ids{two});
  EXPECT_EQ(listed([](auto& filter) {
              filter.mutable_state()->set_state(v1::PodSandboxState::SANDBOX_READY);
            }),
            Ids{one});
  EXPECT_EQ(listed([](auto& filter) { (*filter.mutable_label_selector())["app"] = "b"; }),
            Ids{two});
}

}  // namespace
}  // namespace berth::node_test
