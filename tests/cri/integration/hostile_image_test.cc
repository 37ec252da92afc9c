// SPDX-License-Identifier: Apache-2.0
// An image whose directories are links to the host: whatever the container does, the host's
// directory that they name stays as it was, and nothing is read from it.
#include <filesystem>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class HostileImage : public Node {
 protected:
  static void from_hostile(v1::ContainerConfig& config) {
    config.mutable_image()->set_image("127.0.0.1:5000/hostile:latest");
  }

  static std::multiset<std::string> victim() {
    std::multiset<std::string> found;
    const std::string root = dir("BERTH_NODE_DIR") + "/victim";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      found.insert(entry.path().string() +
                   (entry.is_regular_file() ? "=" + read_file(entry.path().string()) : ""));
    }
    return found;
  }

  void SetUp() override {
    Node::SetUp();
    victim_ = victim();
    ASSERT_GE(victim_.size(), 5u);
  }
  void TearDown() override {
    EXPECT_EQ(victim(), victim_);
    Node::TearDown();
  }

  std::multiset<std::string> victim_;
};

TEST_F(HostileImage, StartTouchesNothingOfTheHost) {
  const std::string id = create(run_pod(), {"sh", "-c", "echo ran; cat /etc/marker"},
                                [](v1::ContainerConfig& config) { from_hostile(config); });
  ASSERT_NE(id, "");
  const auto started = try_start(id);
  if (started.ok()) {
    wait_exited(id);
    EXPECT_EQ(stdout_of(id).find("untouched"), std::string::npos);
  } else {
    EXPECT_EQ(status(id).reason(), "StartError");
    EXPECT_NE(status(id).message(), "");
  }
}

TEST_F(HostileImage, UserIsNotReadFromTheHost) {
  const auto request = container_request(run_pod(), {"sh"}, [](v1::ContainerConfig& config) {
    from_hostile(config);
    config.mutable_linux()->mutable_security_context()->set_run_as_username("hostonly");
  });
  const auto answer = call(&Runtime::CreateContainer, request);
  EXPECT_EQ(answer.code(), grpc::StatusCode::INVALID_ARGUMENT) << answer.text();
  EXPECT_NE(answer.text().find("hostonly"), std::string::npos) << answer.text();
}

// A FIFO, and any device alike: core/linux/openat2_test.cc shows that it is not even opened.
TEST_F(HostileImage, PasswdThatIsNoFileIsRefusedAtOnceAndNamed) {
  const auto request = container_request(run_pod(), {"sh"}, [](v1::ContainerConfig& config) {
    config.mutable_image()->set_image("127.0.0.1:5000/fifo:latest");
  });
  const auto answer = call(&Runtime::CreateContainer, request);
  EXPECT_EQ(answer.code(), grpc::StatusCode::FAILED_PRECONDITION) << answer.text();
  EXPECT_NE(answer.text().find("`etc/passwd` is not a regular file"), std::string::npos)
      << answer.text();
  EXPECT_LT(answer.seconds, 2);
}

TEST_F(HostileImage, VolumesAndWorkingDirectoryStayInTheContainer) {
  for (const char* path : {"/mnt/made", "/linked/made", "/etc/a/b"}) {
    const std::string id =
        create(run_pod(), {"sh", "-c", "echo x >file"}, [path](v1::ContainerConfig& config) {
          from_hostile(config);
          config.set_working_dir(path);
          v1::Mount* mount = config.add_mounts();
          mount->set_host_path("/tmp");
          mount->set_container_path(std::string(path) + "/volume");
        });
    if (id.empty()) continue;
    const auto started = try_start(id);
    if (started.ok()) wait_exited(id);
  }
}

TEST_F(HostileImage, ReadOnlyAndMaskedPathsAreResolvedInsideTheRootToo) {
  const std::string id = create(run_pod(), {"sh", "-c", "true"}, [](v1::ContainerConfig& config) {
    from_hostile(config);
    auto* security = config.mutable_linux()->mutable_security_context();
    security->add_masked_paths("/etc/marker");
    security->add_readonly_paths("/linked");
    security->set_readonly_rootfs(true);
  });
  if (try_start(id).ok()) wait_exited(id);
}

}  // namespace
}  // namespace berth::node_test
