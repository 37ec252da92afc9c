// SPDX-License-Identifier: Apache-2.0
// The fake network keeps the contract that the real ones keep.
#include <memory>
#include <utility>

#include "tests/conformance/network_suite.h"
#include "tests/support/fakes/network.h"

namespace berth::plugins {

class Fake final : public NetworkFactory {
 public:
  Fake() { restart({}); }
  Ring& ring() override { return *ring_; }
  Network& network() override { return *network_; }
  void restart(std::vector<NetworkPod> living) override {
    network_ = std::make_unique<fakes::FakeNetwork>("fake", attachments_, faults_);
    MUST(ring_->run_until(network_->recover(std::move(living))));
  }
  bool has_namespaces() const override { return false; }

 private:
  std::unique_ptr<Ring> ring_ = MUST(Ring::create());
  fakes::Attachments attachments_;
  fakes::NoFaults faults_;
  std::unique_ptr<fakes::FakeNetwork> network_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Fake, NetworkSuite, Fake);

}  // namespace berth::plugins
