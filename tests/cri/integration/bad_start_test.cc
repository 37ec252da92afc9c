// SPDX-License-Identifier: Apache-2.0
// Containers that can be created but not started: the call and ContainerStatus say at which step
// and why, and nothing of the attempt stays.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class BadStart : public Node {
 protected:
  // Starts, expects it to fail, and checks that the status tells the same story.
  void expect_failed(const std::string& id, const std::vector<std::string>& named) {
    const auto answer = try_start(id);
    ASSERT_FALSE(answer.ok());
    EXPECT_LT(answer.seconds, 2);
    const v1::ContainerStatus ended = status(id);
    EXPECT_EQ(ended.state(), v1::ContainerState::CONTAINER_EXITED);
    EXPECT_EQ(ended.reason(), "StartError");
    EXPECT_EQ(ended.exit_code(), 128);
    EXPECT_GT(ended.finished_at(), 0);
    for (const std::string& word : named) {
      EXPECT_NE(answer.text().find(word), std::string::npos) << word << ": " << answer.text();
      EXPECT_NE(ended.message().find(word), std::string::npos) << word << ": " << ended.message();
    }
  }
};

TEST_F(BadStart, CommandThatDoesNotExistNamesItAndENOENT) {
  expect_failed(create(run_pod(), {"/no/such/program"}), {"exec", "/no/such/program", "ENOENT"});
}

TEST_F(BadStart, CommandThatIsNotInThePathNamesIt) {
  expect_failed(create(run_pod(), {"no-such-program"}), {"no-such-program", "ENOENT"});
}

TEST_F(BadStart, CommandThatIsNotExecutableNamesItAndEACCES) {
  expect_failed(create(run_pod(), {"/etc/motd"}), {"exec", "/etc/motd", "EACCES"});
}

TEST_F(BadStart, CommandThatIsADirectoryNamesIt) {
  expect_failed(create(run_pod(), {"/etc"}), {"/etc", "EACCES"});
}

TEST_F(BadStart, WorkingDirectoryThatIsAFileNamesIt) {
  const std::string id = create(run_pod(), {"true"}, [](v1::ContainerConfig& config) {
    config.set_working_dir("/etc/motd");
  });
  expect_failed(id, {"/etc/motd", "ENOTDIR"});
}

TEST_F(BadStart, LogPathThroughAPlantedLinkIsRefusedAndTheTargetUntouched) {
  const v1::RunPodSandboxRequest pod = pod_request();
  const auto made = call(&Runtime::RunPodSandbox, pod);
  ASSERT_TRUE(made.ok()) << made.text();
  const std::string outside = dir("BERTH_NODE_DIR") + "/outside";
  std::filesystem::create_directories(outside);
  const std::string logs = pod.config().log_directory();
  std::filesystem::create_directories(logs);
  std::filesystem::create_directory_symlink(outside, logs + "/escape");
  std::filesystem::create_symlink(outside + "/file", logs + "/file.log");
  for (const char* path : {"escape/0.log", "file.log"}) {
    const std::string id =
        create(made.value.pod_sandbox_id(), {"true"},
               [path](v1::ContainerConfig& config) { config.set_log_path(path); });
    expect_failed(id, {"log_path", path});
  }
  EXPECT_TRUE(std::filesystem::is_empty(outside));
}

TEST_F(BadStart, LogPathThatIsAPipeOrADeviceIsRefusedUnopened) {
  const v1::RunPodSandboxRequest pod = pod_request();
  const auto made = call(&Runtime::RunPodSandbox, pod);
  ASSERT_TRUE(made.ok()) << made.text();
  const std::string logs = pod.config().log_directory();
  std::filesystem::create_directories(logs);
  ASSERT_EQ(::mkfifo((logs + "/pipe.log").c_str(), 0666), 0);
  ASSERT_EQ(::mknod((logs + "/null.log").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const int reader = ::open((logs + "/pipe.log").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  for (const char* path : {"pipe.log", "null.log"}) {
    const std::string id =
        create(made.value.pod_sandbox_id(), {"true"},
               [path](v1::ContainerConfig& config) { config.set_log_path(path); });
    expect_failed(id, {"config.log_path", path, "not a regular file"});
  }
  ::close(reader);
}

TEST_F(BadStart, BidirectionalPropagationWithoutPrivilegeNamesTheField) {
  const std::string id = create(run_pod(), {"true"}, [](v1::ContainerConfig& config) {
    v1::Mount* mount = config.add_mounts();
    mount->set_host_path("/tmp");
    mount->set_container_path("/a");
    mount->set_propagation(v1::MountPropagation::PROPAGATION_BIDIRECTIONAL);
  });
  expect_failed(id, {"config.mounts[0].propagation"});
}

TEST_F(BadStart, HostPathThatCannotBeMadeNamesTheField) {
  const std::string id = create(run_pod(), {"true"}, [](v1::ContainerConfig& config) {
    v1::Mount* mount = config.add_mounts();
    mount->set_host_path("/proc/version/below");
    mount->set_container_path("/a");
  });
  expect_failed(id, {"config.mounts[0].host_path", "/proc/version/below"});
}

TEST_F(BadStart, FailedContainerCanBeRemovedAndItsPodGoesOn) {
  const std::string pod = run_pod();
  const std::string id = create(pod, {"/no/such/program"});
  expect_failed(id, {"/no/such/program"});
  EXPECT_TRUE(stop(id).ok());
  EXPECT_TRUE(remove(id).ok());
  EXPECT_EQ(printed(pod, "echo fine"), "fine\n");
}

}  // namespace
}  // namespace berth::node_test
