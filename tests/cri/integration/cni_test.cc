// SPDX-License-Identifier: Apache-2.0
// Pods on CNI plugins, through CRI: Debian's bridge, host-local and portmap in the node's own
// network namespace. No packet leaves it.
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/cri/integration/node_fixture.h"

namespace berth::node_test {
namespace {

class Cni : public Node {
 protected:
  void SetUp() override {
    Node::SetUp();
    if (!std::filesystem::exists("/usr/lib/cni/bridge")) {
      GTEST_SKIP() << "needs Debian's containernetworking-plugins";
    }
    data_ = dir("BERTH_NODE_DIR") + "/cni-data";
  }
  void TearDown() override {
    remove_all_pods();
    std::filesystem::remove_all(cni_conf_dir());
    std::filesystem::remove_all(data_);
    // The bridge plugin leaves its bridge.
    shell("ip link delete cni-test");
    Node::TearDown();
  }

  void configure(const std::string& more_plugins = "") {
    std::filesystem::create_directories(cni_conf_dir());
    const std::string file = cni_conf_dir() + "/10-test.conflist";
    std::ofstream(file + ".new") << R"({"cniVersion": "1.0.0", "name": "test", "plugins": [
        {"type": "bridge", "bridge": "cni-test", "isGateway": true, "ipMasq": false,
         "ipam": {"type": "host-local", "dataDir": ")" +
                                        data_ + R"(",
                  "ranges": [[{"subnet": "10.89.7.0/24"}], [{"subnet": "fd89:7::/64"}]],
                  "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}})" +
                                        more_plugins + "]}";
    std::filesystem::rename(file + ".new", file);
  }
  // Waits until the configuration is seen: a pod can be made.
  v1::RunPodSandboxRequest cni_pod(const PodTweak& tweak = {}) {
    v1::RunPodSandboxRequest request = pod_request(tweak);
    request.set_runtime_handler("cni");
    return request;
  }
  std::string run_cni_pod(const PodTweak& tweak = {}) {
    Answer<v1::RunPodSandboxResponse> made;
    // The directory is watched; berthd reads a new file within a moment.
    const v1::RunPodSandboxRequest request = cni_pod(tweak);
    wait_until(
        [&]() {
          made = call(&Runtime::RunPodSandbox, request);
          return made.ok();
        },
        10);
    EXPECT_TRUE(made.ok()) << made.text();
    return made.value.pod_sandbox_id();
  }
  std::size_t reservations() const {
    std::size_t count = 0;
    std::error_code failed;
    for (std::filesystem::recursive_directory_iterator entry(data_, failed), end;
         !failed && entry != end; entry.increment(failed)) {
      const std::string name = entry->path().filename().string();
      if (name.rfind("10.", 0) == 0 || name.rfind("fd", 0) == 0) ++count;
    }
    return count;
  }

  std::string data_;
};

TEST_F(Cni, WithoutAConfigurationAPodIsRefusedWithTheDirectory) {
  const auto answer = call(&Runtime::RunPodSandbox, cni_pod());
  EXPECT_EQ(answer.code(), grpc::StatusCode::UNAVAILABLE) << answer.text();
  EXPECT_NE(answer.text().find(cni_conf_dir()), std::string::npos) << answer.text();
}

TEST_F(Cni, PodHasTheAddressesThatItsStatusNamesAndTheNodeReachesIt) {
  configure();
  const std::string pod = run_cni_pod();
  const v1::PodSandboxNetworkStatus network = pod_status(pod).network();
  EXPECT_EQ(network.ip().rfind("10.89.7.", 0), 0u) << network.ip();
  ASSERT_EQ(network.additional_ips_size(), 1);
  EXPECT_EQ(network.additional_ips(0).ip().rfind("fd89:7:", 0), 0u);
  start(pod, {"httpd", "-f", "-p", "8080"});
  const auto serves = [](const std::string& host) {
    return shell("curl -s -o /dev/null -w '%{http_code}' --max-time 2 http://" + host + ":8080/")
               .out == "404";
  };
  EXPECT_TRUE(wait_until([&]() { return serves(network.ip()); }, 10));
  EXPECT_TRUE(wait_until([&]() { return serves("[" + network.additional_ips(0).ip() + "]"); }, 10));
  EXPECT_EQ(reservations(), 2u);
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_EQ(reservations(), 0u) << "StopPodSandbox gives the addresses back";
}

TEST_F(Cni, PodsReachEachOtherAndTheirHostsFileNamesThem) {
  configure();
  const std::string server = run_cni_pod();
  const std::string client = run_cni_pod();
  const std::string address = pod_status(server).network().ip();
  EXPECT_EQ(printed(client, "ping -c 1 -w 5 " + address + " >/dev/null && echo reached"),
            "reached\n");
  const std::string hosts = printed(server, "cat /etc/hosts");
  EXPECT_NE(hosts.find(address), std::string::npos) << hosts;
}

TEST_F(Cni, HostPortReachesThePodFromTheNodeAndEndsWithIt) {
  configure(R"(, {"type": "portmap", "capabilities": {"portMappings": true}})");
  const std::string pod = run_cni_pod([](v1::PodSandboxConfig& config) {
    v1::PortMapping* mapping = config.add_port_mappings();
    mapping->set_container_port(8080);
    mapping->set_host_port(18080);
  });
  start(pod, {"httpd", "-f", "-p", "8080"});
  const auto serves = [](const std::string& host) {
    return shell("curl -s -o /dev/null -w '%{http_code}' --max-time 2 http://" + host + ":18080/")
               .out == "404";
  };
  EXPECT_TRUE(wait_until([&]() { return serves("10.89.7.1"); }, 10)) << "the node's own address";
  EXPECT_TRUE(wait_until([&]() { return serves("127.0.0.1"); }, 10));
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_FALSE(serves("10.89.7.1"));
}

TEST_F(Cni, AddressesOutliveTheAgentAndAreGivenBackByTheNextOne) {
  configure();
  const std::string pod = run_cni_pod();
  const std::string address = pod_status(pod).network().ip();
  kill_berthd();
  ASSERT_TRUE(start_berthd());
  EXPECT_EQ(pod_status(pod).network().ip(), address);
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_EQ(reservations(), 0u);
}

TEST_F(Cni, DelGoesByTheConfigurationThatAddedThePodAlsoWhenItsFileIsGone) {
  configure();
  const std::string pod = run_cni_pod();
  ASSERT_EQ(reservations(), 2u);
  std::filesystem::remove_all(cni_conf_dir());
  ASSERT_TRUE(stop_pod(pod).ok());
  EXPECT_EQ(reservations(), 0u);
}

TEST_F(Cni, StagesOfAPodNameEachPlugin) {
  configure();
  const std::string pod = run_cni_pod();
  const Ran explained = berth("explain " + pod);
  EXPECT_NE(explained.out.find("cni.bridge"), std::string::npos) << explained.out;
}

TEST_F(Cni, FailedPluginIsNamedWithItsWordsAndNothingIsLeft) {
  configure(R"(, {"type": "tuning", "sysctl": {"net.ipv4.no_such_thing": "1"}})");
  const v1::RunPodSandboxRequest request = cni_pod();
  Answer<v1::RunPodSandboxResponse> answer;
  wait_until(
      [&]() {
        answer = call(&Runtime::RunPodSandbox, request);
        return answer.text().find("tuning") != std::string::npos;
      },
      10);
  EXPECT_FALSE(answer.ok());
  EXPECT_NE(answer.text().find("tuning"), std::string::npos) << answer.text();
  EXPECT_NE(answer.text().find("no_such_thing"), std::string::npos) << answer.text();
  EXPECT_TRUE(wait_until([&]() { return reservations() == 0; }, 5))
      << "DEL of the plugins that had succeeded";
}

}  // namespace
}  // namespace berth::node_test
