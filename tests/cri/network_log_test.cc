// SPDX-License-Identifier: Apache-2.0
// What all networks hear, and what the log says of them.
#include "cri/network_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "cri/handlers.h"
#include "tests/support/fakes/network.h"

namespace berth::cri {
namespace {

class NetworkLog : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }
  std::string logged() const {
    char text[4096];
    const ssize_t size = ::read(read_.get(), text, sizeof text);
    return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
  }
  static Task<void> moment(Ring& ring) { co_await ring.sleep_until(Deadline::after_ms(1)); }
  static Task<void> closed(Scope& scope) { co_await scope.close(); }
  // Lets every task run until it waits.
  void settle() { MUST(ring_->run_until(moment(*ring_))); }

  std::unique_ptr<Ring> ring_ = MUST(Ring::create());
  UniqueFd read_;
  UniqueFd write_;
  fakes::Attachments attachments_;
  fakes::NoFaults faults_;
};

TEST_F(NetworkLog, TellsWhenANetworkBecomesReadyAndWhyItStopsBeing) {
  Log log(LogLevel::info, write_.get());
  fakes::FakeNetwork network("fake", attachments_, faults_);
  network.set_status({.ready = false, .message = "no file"});
  Scope scope(ring_->ready(), [](Error) {});
  scope.spawn(log_network_changes(log, network));
  settle();
  EXPECT_EQ(logged(), "") << "the status that it finds";
  network.set_status({.ready = true});
  settle();
  EXPECT_NE(logged().find("fake is ready"), std::string::npos);
  network.set_status({.ready = false, .message = "the daemon is away"});
  settle();
  EXPECT_NE(logged().find("fake is not ready: the daemon is away"), std::string::npos);
  MUST(ring_->run_until(network.close()));
  MUST(ring_->run_until(closed(scope)));
}

TEST_F(NetworkLog, PodCidrsReachEveryNetworkAndAnErrorNamesTheOne) {
  fakes::FakeNetwork first("first", attachments_, faults_);
  fakes::FakeNetwork second("second", attachments_, faults_);
  Networks networks;
  networks.add(first);
  networks.add(second);
  EXPECT_TRUE(ring_->run_until(networks.configure({.pod_cidrs = {"10.88.0.0/24"}})).ok());
  const Result<void> refused = ring_->run_until(networks.configure({.pod_cidrs = {"10.88.0.0"}}));
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::invalid_argument));
  EXPECT_NE(refused.error().message().find("network first"), std::string::npos);
  EXPECT_NE(refused.error().message().find("10.88.0.0"), std::string::npos);
}

}  // namespace
}  // namespace berth::cri
