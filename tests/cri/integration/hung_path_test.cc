// SPDX-License-Identifier: Apache-2.0
// Volumes, devices and logs on a filesystem whose server does not answer: the calls that need it
// end, and nothing else of the node waits for it.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

// A FUSE mount that nobody serves: whoever looks below it waits until the descriptor is closed.
class DeadMount {
 public:
  explicit DeadMount(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    device_ = ::open("/dev/fuse", O_RDWR | O_CLOEXEC);
    const std::string data =
        "fd=" + std::to_string(device_) + ",rootmode=40000,user_id=0,group_id=0";
    mounted_ = device_ >= 0 && ::mount("dead", path_.c_str(), "fuse", 0, data.c_str()) == 0;
  }
  ~DeadMount() { release(); }

  bool mounted() const { return mounted_; }
  std::string below(const std::string& name) const { return path_ + "/" + name; }
  // The path is an ordinary directory again, and who waited is told ENOTCONN.
  void release() {
    if (device_ >= 0) ::close(device_);
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    device_ = -1;
    mounted_ = false;
  }

 private:
  std::string path_;
  int device_ = -1;
  bool mounted_ = false;
};

ContainerTweak volume_at(const std::string& host_path) {
  return [host_path](v1::ContainerConfig& config) {
    v1::Mount* mount = config.add_mounts();
    mount->set_host_path(host_path);
    mount->set_container_path("/volume");
  };
}

class HungPath : public Node {
 protected:
  static std::string place() { return dir("BERTH_NODE_DIR") + "/dead"; }

  struct Attempt {
    std::string pod;
    std::string container;
    std::string path;
    std::string field;  // that has led to `path`
    Answer<v1::StartContainerResponse> answer;
    std::thread caller;
  };

  // Each in a pod of its own, as a kubelet does it: nothing waits for anything but the path. The
  // last of them has its log there, the others a volume.
  std::vector<Attempt> start_hanging(const DeadMount& dead, int count) {
    std::vector<Attempt> attempts(static_cast<std::size_t>(count));
    for (Attempt& attempt : attempts) {
      const bool is_log = &attempt == &attempts.back();
      attempt.path = dead.below(std::to_string(&attempt - attempts.data()));
      attempt.field = is_log ? "config.log_path" : "config.mounts[0].host_path";
      attempt.pod = run_pod([&](v1::PodSandboxConfig& config) {
        if (is_log) config.set_log_directory(attempt.path);
      });
      attempt.container =
          create(attempt.pod, {"true"}, is_log ? ContainerTweak() : volume_at(attempt.path));
      attempt.caller = std::thread([&attempt]() {
        Client client(endpoint());
        v1::StartContainerRequest request;
        request.set_container_id(attempt.container);
        attempt.answer = client.call(&Runtime::StartContainer, request, 60);
      });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return attempts;
  }
};

// More of them than the threads that all other work shares.
TEST_F(HungPath, StartsEndAtTheirDeadlineNamingThePathAndTheNodeGoesOnMeanwhile) {
  DeadMount dead(place());
  ASSERT_TRUE(dead.mounted());
  std::vector<Attempt> attempts = start_hanging(dead, 7);
  const v1::CreateContainerRequest with_device =
      container_request(run_pod(), {"true"}, device_at(dead.below("device"), "/dev/x"));
  Answer<v1::CreateContainerResponse> refused;
  std::thread creator([&]() {
    Client client(endpoint());
    refused = client.call(&Runtime::CreateContainer, with_device, 60);
  });
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(printed(run_pod(), "echo fine", volume_at(dir("BERTH_NODE_DIR") + "/alive")), "fine\n");
  const auto measured = call(&Images::ImageFsInfo, v1::ImageFsInfoRequest(), 5);
  EXPECT_TRUE(measured.ok()) << measured.text();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));

  for (Attempt& attempt : attempts) {
    attempt.caller.join();
    EXPECT_EQ(attempt.answer.code(), grpc::StatusCode::DEADLINE_EXCEEDED) << attempt.answer.text();
    EXPECT_LT(attempt.answer.seconds, 40);
    const v1::ContainerStatus ended = status(attempt.container);
    EXPECT_EQ(ended.reason(), "StartError");
    for (const std::string& word : {attempt.field, attempt.path}) {
      EXPECT_NE(attempt.answer.text().find(word), std::string::npos) << attempt.answer.text();
      EXPECT_NE(ended.message().find(word), std::string::npos) << ended.message();
    }
  }
  creator.join();
  EXPECT_EQ(refused.code(), grpc::StatusCode::DEADLINE_EXCEEDED) << refused.text();
  for (const std::string& word : {std::string("config.devices.host_path"), dead.below("device")}) {
    EXPECT_NE(refused.text().find(word), std::string::npos) << refused.text();
  }
  // Trying again does not cost another thread, and the pods go as any other.
  const Attempt& first = attempts.front();
  const auto again = try_start(create(first.pod, {"true"}, volume_at(first.path)));
  EXPECT_EQ(again.code(), grpc::StatusCode::UNAVAILABLE) << again.text();
  EXPECT_NE(again.text().find(first.path), std::string::npos) << again.text();
  EXPECT_LT(again.seconds, 2);
  for (const Attempt& attempt : attempts) {
    if (attempt.pod == first.pod) continue;
    const auto stopped = stop_pod(attempt.pod);
    EXPECT_TRUE(stopped.ok()) << stopped.text();
    EXPECT_LT(stopped.seconds, 5);
  }
  dead.release();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(printed(first.pod, "echo back", volume_at(first.path)), "back\n");
}

TEST_F(HungPath, AgentEndsOnSigtermAndTheContainerIsNotBlamed) {
  DeadMount dead(place());
  ASSERT_TRUE(dead.mounted());
  std::vector<Attempt> attempts = start_hanging(dead, 6);
  EXPECT_EQ(terminate_berthd(), 0) << berthd_log();
  for (Attempt& attempt : attempts) {
    attempt.caller.join();
    EXPECT_FALSE(attempt.answer.ok());
  }
  ASSERT_TRUE(start_berthd());
  for (const Attempt& attempt : attempts) {
    const v1::ContainerStatus made = status(attempt.container);
    EXPECT_EQ(made.state(), v1::ContainerState::CONTAINER_CREATED) << made.message();
  }
  dead.release();
  for (const Attempt* attempt : {&attempts.front(), &attempts.back()}) {
    const auto started = try_start(attempt->container);
    EXPECT_TRUE(started.ok()) << started.text();
    EXPECT_EQ(wait_exited(attempt->container).exit_code(), 0);
  }
}

}  // namespace
}  // namespace berth::node_test
