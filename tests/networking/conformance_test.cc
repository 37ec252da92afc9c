// SPDX-License-Identifier: Apache-2.0
// The suite of networks for "host" and "isolated". Making network namespaces needs root.
#include <memory>
#include <utility>

#include "networking/host.h"
#include "networking/isolated.h"
#include "tests/conformance/network_suite.h"

namespace berth::plugins {

class Isolated final : public NetworkFactory {
 public:
  Isolated() { restart({}); }
  ~Isolated() override { static_cast<void>(ring_->run_until(pool_.close())); }
  Ring& ring() override { return *ring_; }
  Network& network() override { return *network_; }
  void restart(std::vector<NetworkPod> living) override {
    if (network_ != nullptr) MUST(ring_->run_until(network_->close()));
    network_ = std::make_unique<networking::IsolatedNetwork>(pool_);
    MUST(ring_->run_until(network_->recover(std::move(living))));
  }

 private:
  std::unique_ptr<Ring> ring_ = MUST(Ring::create());
  NamespacePool pool_{*ring_, NamespacePool::kPod, 2};
  std::unique_ptr<networking::IsolatedNetwork> network_;
};

class Host final : public NetworkFactory {
 public:
  Host() { restart({}); }
  Ring& ring() override { return *ring_; }
  Network& network() override { return *network_; }
  void restart(std::vector<NetworkPod> living) override {
    network_ = std::make_unique<networking::HostNetwork>();
    MUST(ring_->run_until(network_->recover(std::move(living))));
  }
  bool is_host() const override { return true; }

 private:
  std::unique_ptr<Ring> ring_ = MUST(Ring::create());
  std::unique_ptr<networking::HostNetwork> network_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Isolated, NetworkSuite, Isolated);
INSTANTIATE_TYPED_TEST_SUITE_P(Host, NetworkSuite, Host);

}  // namespace berth::plugins
