// SPDX-License-Identifier: Apache-2.0
// What "host" and "isolated" do beyond the contract. Namespaces are looked into with setns on a
// thread of their own; nothing of the machine's own namespace is changed.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "core/ring/ring.h"
#include "networking/host.h"
#include "networking/isolated.h"

namespace berth::networking {
namespace {

using plugins::NetworkAttachment;
using plugins::NetworkRequest;
using plugins::PortMapping;

// What a process in the namespace would see.
struct Sight {
  int interfaces = 0;
  bool loopback_answers = false;
};

Sight look_into(int netns) {
  Sight sight;
  std::thread([netns, &sight] {
    if (::setns(netns, CLONE_NEWNET) != 0) return;
    struct if_nameindex* const all = ::if_nameindex();
    for (const struct if_nameindex* at = all; at != nullptr && at->if_index != 0; ++at) {
      ++sight.interfaces;
    }
    ::if_freenameindex(all);
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    address.sin_port = ::htons(4711);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    sight.loopback_answers = ::bind(listener.get(), any, sizeof address) == 0 &&
                             ::listen(listener.get(), 1) == 0 &&
                             ::connect(client.get(), any, sizeof address) == 0;
  }).join();
  return sight;
}

NetworkRequest request_for(std::string pod_id) {
  NetworkRequest request;
  request.pod_id = std::move(pod_id);
  return request;
}

PortMapping mapping(std::uint16_t container_port, std::uint16_t host_port) {
  PortMapping mapped;
  mapped.container_port = container_port;
  mapped.host_port = host_port;
  return mapped;
}

class NetworksTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "making network namespaces needs root";
    ring_ = MUST(Ring::create());
  }
  void TearDown() override {
    if (isolated_ == nullptr) return;
    MUST(run(isolated_->close()));
    MUST(run(pool_->close()));
  }
  template <typename T>
  Result<T> run(Task<T> task) {
    return ring_->run_until(std::move(task));
  }
  IsolatedNetwork& isolated(std::size_t pool_size = 2) {
    if (isolated_ == nullptr) {
      pool_ = std::make_unique<NamespacePool>(*ring_, NamespacePool::kPod, pool_size);
      isolated_ = std::make_unique<IsolatedNetwork>(*pool_);
      MUST(run(isolated_->recover({})));
      pool_->prefill();
    }
    return *isolated_;
  }

  std::unique_ptr<Ring> ring_;
  std::unique_ptr<NamespacePool> pool_;
  std::unique_ptr<IsolatedNetwork> isolated_;
};

TEST_F(NetworksTest, HostPodsHaveNoNamespaceOfTheirOwnAndTheNetworkIsReady) {
  HostNetwork host;
  EXPECT_TRUE(host.status().ready);
  const NetworkAttachment attached = MUST(run(host.attach(request_for("p"))));
  EXPECT_FALSE(attached.netns.valid());
  EXPECT_TRUE(attached.result.ips.empty());
}

TEST_F(NetworksTest, HostPortThatWouldHaveToBeAnotherIsRefused) {
  HostNetwork host;
  NetworkRequest same = request_for("p");
  same.port_mappings = {mapping(80, 80), mapping(81, 0)};
  EXPECT_TRUE(run(host.attach(std::move(same))).ok());
  NetworkRequest other = request_for("p");
  other.port_mappings = {mapping(80, 8080)};
  const auto refused = run(host.attach(std::move(other)));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::invalid_argument));
}

TEST_F(NetworksTest, IsolatedPodHasLoopbackUpAndNothingElse) {
  EXPECT_TRUE(isolated().status().ready);
  const NetworkAttachment attached = MUST(run(isolated().attach(request_for("p"))));
  ASSERT_TRUE(attached.netns.valid());
  EXPECT_TRUE(attached.result.ips.empty());
  const Sight sight = look_into(attached.netns.get());
  EXPECT_EQ(sight.interfaces, 1);
  EXPECT_TRUE(sight.loopback_answers);
}

TEST_F(NetworksTest, IsolatedPodGetsItsIpcAndUtsNamespacesFromTheSamePool) {
  const NetworkAttachment attached = MUST(run(isolated().attach(request_for("p"))));
  EXPECT_EQ(::ioctl(attached.netns.get(), NS_GET_NSTYPE), CLONE_NEWNET);
  EXPECT_EQ(::ioctl(attached.ipc.get(), NS_GET_NSTYPE), CLONE_NEWIPC);
  EXPECT_EQ(::ioctl(attached.uts.get(), NS_GET_NSTYPE), CLONE_NEWUTS);
}

TEST_F(NetworksTest, AttachThatFoundThePoolEmptySaysHowLongTheNamespacesTook) {
  const NetworkAttachment attached = MUST(run(isolated(0).attach(request_for("p"))));
  ASSERT_EQ(attached.steps.size(), 1U);
  EXPECT_EQ(attached.steps[0].first, "namespaces.made_inline");
  EXPECT_GT(attached.steps[0].second, 0);
}

TEST_F(NetworksTest, HostPortsOfAnIsolatedPodAreRefused) {
  NetworkRequest request = request_for("p");
  request.port_mappings = {mapping(80, 8080)};
  const auto refused = run(isolated().attach(std::move(request)));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("8080"), std::string::npos);
}

}  // namespace
}  // namespace berth::networking
