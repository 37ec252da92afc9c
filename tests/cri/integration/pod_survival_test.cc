// SPDX-License-Identifier: Apache-2.0
// What becomes of a pod whose parts die or cannot be removed: never the node's own namespaces in
// place of the pod's, never a pod that looks ready and is not, never an agent that does not start.
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

namespace fs = std::filesystem;

class PodSurvival : public Node {
 protected:
  static void share_pid(v1::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
        v1::NamespaceMode::POD);
  }
  std::string run_shared_pid_pod() {
    return run_pod([](v1::PodSandboxConfig& config) {
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
          v1::NamespaceMode::POD);
    });
  }

  static std::string link(pid_t pid, const std::string& kind) {
    std::error_code gone;
    return fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/" + kind, gone).string();
  }

  // The process that is number 1 in the PID namespace of `pid`.
  static pid_t init_of(pid_t pid) {
    const std::string wanted = link(pid, "pid");
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
      const pid_t candidate = std::atoi(entry.path().filename().c_str());
      if (candidate <= 1 || link(candidate, "pid") != wanted) continue;
      const std::string text = read_file(entry.path() / "status");
      const std::size_t at = text.find("NSpid:");
      if (at == std::string::npos) continue;
      const std::string line = text.substr(at, text.find('\n', at) - at);
      if (line.ends_with("\t1")) return candidate;
    }
    return -1;
  }

  // A cgroup of the container's, in whichever hierarchy comes first.
  static std::string cgroup_of(const std::string& container) {
    std::error_code failed;
    for (fs::recursive_directory_iterator at("/sys/fs/cgroup", failed), end; !failed && at != end;
         at.increment(failed)) {
      const bool matches = at->path().filename().string().find(container) != std::string::npos;
      if (matches && at->is_directory(failed)) return at->path();
    }
    return "";
  }
};

TEST_F(PodSurvival, AfterBothDiedAPodHasItsOwnNamespacesOrNone) {
  const std::string mark = "berth-test-" + std::to_string(::getpid());
  std::ofstream("/dev/shm/" + mark) << "the node's";
  const std::string pod = run_shared_pid_pod();
  const std::string first = start(pod, {"sleep", "4321"}, share_pid);
  const pid_t pid = pid_of(first);
  const pid_t keeper = keeper_pid();
  kill_berthd();
  ASSERT_EQ(::kill(keeper, SIGKILL), 0);
  ASSERT_TRUE(start_berthd());
  ASSERT_EQ(status(first).state(), v1::ContainerState::CONTAINER_RUNNING) << berthd_log();
  const std::string second = start(pod, {"sleep", "5432"}, share_pid);
  const pid_t other = pid_of(second);
  for (const char* kind : {"net", "ipc", "uts", "pid"}) {
    EXPECT_EQ(link(other, kind), link(pid, kind)) << kind;
    EXPECT_NE(link(other, kind), link(::getpid(), kind)) << kind;
  }
  EXPECT_EQ(exec(second, "ls /dev/shm").value.stdout().find(mark), std::string::npos);
  fs::remove("/dev/shm/" + mark);
  // The new keeper holds them: they outlive the agent even while no container runs.
  ASSERT_TRUE(stop(first).ok());
  ASSERT_TRUE(stop(second).ok());
  kill_berthd();
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(pod_status(pod).state(), v1::PodSandboxState::SANDBOX_READY) << berthd_log();
  EXPECT_EQ(printed(pod, "echo on", share_pid), "on\n");
}

TEST_F(PodSurvival, DeathOfAPodsInitStopsThePod) {
  const std::string pod = run_shared_pid_pod();
  const std::string id = start(pod, {"sleep", "1000"}, share_pid);
  const pid_t init = init_of(pid_of(id));
  ASSERT_GT(init, 1);
  ASSERT_EQ(::kill(init, SIGKILL), 0);
  EXPECT_TRUE(wait_until(
      [&] { return pod_status(pod).state() == v1::PodSandboxState::SANDBOX_NOTREADY; }, 10));
  EXPECT_EQ(wait_exited(id).exit_code(), 137);
  const auto removed = remove_pod(pod);
  EXPECT_TRUE(removed.ok()) << removed.text();
}

// A process that berth does not know sits in the container's cgroup, so the cgroup cannot go.
TEST_F(PodSurvival, WhatCannotBeRemovedIsToldAndRemovedLater) {
  const std::string pod = run_pod();
  const std::string id = create(pod, {"sleep", "1000"});
  const std::string cgroup = cgroup_of(id);
  ASSERT_NE(cgroup, "");
  // A directory on which something is mounted cannot be removed.
  ASSERT_EQ(::mount("tmpfs", cgroup.c_str(), "tmpfs", 0, "size=4k"), 0);
  EXPECT_FALSE(remove(id).ok());
  kill_berthd();
  ASSERT_TRUE(start_berthd()) << "one container must not keep the agent from starting";
  EXPECT_NE(berthd_log().find("failed=1"), std::string::npos) << berthd_log();
  EXPECT_EQ(printed(run_pod(), "echo fine"), "fine\n");
  ASSERT_EQ(::umount2(cgroup.c_str(), MNT_DETACH), 0);
  kill_berthd();
  ASSERT_TRUE(start_berthd());
  v1::ListContainersRequest all;
  all.mutable_filter()->set_id(id);
  EXPECT_EQ(call(&Runtime::ListContainers, all).value.containers_size(), 0) << "half removed";
}

}  // namespace
}  // namespace berth::node_test
