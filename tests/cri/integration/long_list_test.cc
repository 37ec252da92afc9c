// SPDX-License-Identifier: Apache-2.0
// Lists as long as one request may carry. They are checked and merged on the loop, where all other
// calls wait meanwhile: 65,000 environment variables once held them up for 5.8 s.
#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

// Another client, which notes how long an answer takes at most.
class Bystander {
 public:
  explicit Bystander(const std::string& endpoint)
      : thread_([this, endpoint]() {
          Client client(endpoint);
          while (!done_) {
            const auto answer = client.call(&Runtime::Version, v1::VersionRequest());
            longest_ = std::max(longest_, answer.seconds);
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
          }
        }) {}
  ~Bystander() {
    done_ = true;
    thread_.join();
    EXPECT_LT(longest_, 1.0);
  }

 private:
  std::atomic<bool> done_ = false;
  double longest_ = 0;
  std::thread thread_;
};

class LongLists : public Node {
 protected:
  template <typename Response>
  static void expect_refused(const Answer<Response>& answer, const std::string& named) {
    EXPECT_EQ(answer.code(), grpc::StatusCode::INVALID_ARGUMENT) << answer.text();
    EXPECT_NE(answer.text().find(named), std::string::npos) << answer.text();
    EXPECT_LT(answer.seconds, 2);
  }
  Answer<v1::CreateContainerResponse> make(const std::string& pod, const ContainerTweak& tweak) {
    return call(&Runtime::CreateContainer, container_request(pod, {"true"}, tweak));
  }
  Answer<v1::RunPodSandboxResponse> make_pod(const PodTweak& tweak) {
    return call(&Runtime::RunPodSandbox, pod_request(tweak));
  }
};

TEST_F(LongLists, OfAContainerHoldUpNobodyAndItRuns) {
  const std::string pod = run_pod();
  const Bystander other(endpoint());
  const auto variables = make(pod, [](v1::ContainerConfig& config) {
    for (int i = 0; i < 65'000; ++i) config.add_envs()->set_key("VARIABLE_" + std::to_string(i));
  });
  const auto labels = make(pod, [](v1::ContainerConfig& config) {
    for (int i = 0; i < 40'000; ++i) {
      (*config.mutable_labels())["label" + std::to_string(i)] = "x";
      (*config.mutable_annotations())["note" + std::to_string(i)] = "";
    }
  });
  const auto devices = make(pod, [](v1::ContainerConfig& config) {
    for (int i = 0; i < 1024; ++i) device_at("/dev/null", "/dev/d" + std::to_string(i))(config);
  });
  for (const auto& made : {variables, labels, devices}) {
    ASSERT_TRUE(made.ok()) << made.text();
    const auto started = try_start(made.value.container_id());
    EXPECT_TRUE(started.ok()) << started.text();
  }
}

TEST_F(LongLists, OfAContainerThatNoneCanHaveAreRefused) {
  const std::string pod = run_pod();
  const Bystander other(endpoint());
  expect_refused(make(pod,
                      [](v1::ContainerConfig& config) {
                        auto* security = config.mutable_linux()->mutable_security_context();
                        for (int i = 0; i < 400'000; ++i) security->add_supplemental_groups(i);
                      }),
                 "supplemental_groups");
  expect_refused(make(pod,
                      [](v1::ContainerConfig& config) {
                        for (int i = 0; i < 40'000; ++i) {
                          v1::Mount* mount = config.add_mounts();
                          mount->set_host_path("/tmp");
                          mount->set_container_path("/data/" + std::to_string(i));
                        }
                      }),
                 "config.mounts: are 40000");
}

TEST_F(LongLists, OfAPodHoldUpNobody) {
  const Bystander other(endpoint());
  const auto ports = make_pod([](v1::PodSandboxConfig& config) {
    for (int i = 0; i < 65'535; ++i) config.add_port_mappings()->set_container_port(1 + i);
  });
  EXPECT_TRUE(ports.ok()) << ports.text();
  const auto searches = make_pod([](v1::PodSandboxConfig& config) {
    for (int i = 0; i < 100'000; ++i) config.mutable_dns_config()->add_searches("a.b");
  });
  EXPECT_TRUE(searches.ok()) << searches.text();
  const auto labels = make_pod([](v1::PodSandboxConfig& config) {
    for (int i = 0; i < 50'000; ++i) (*config.mutable_labels())["l" + std::to_string(i)] = "x";
  });
  EXPECT_TRUE(labels.ok()) << labels.text();
  expect_refused(make_pod([](v1::PodSandboxConfig& config) {
                   auto& sysctls = *config.mutable_linux()->mutable_sysctls();
                   for (int i = 0; i < 30'000; ++i) sysctls["net.x" + std::to_string(i)] = "1";
                 }),
                 "config.linux.sysctls[net.x");
}

}  // namespace
}  // namespace berth::node_test
