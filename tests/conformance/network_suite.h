// SPDX-License-Identifier: Apache-2.0
// What plugins/api/network.h promises, for any implementation: include this header in a test,
// derive a factory, instantiate.
//
//   struct Mine : NetworkFactory { ... };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Mine, NetworkSuite, Mine);
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/ring/with_deadline.h"
#include "tests/conformance/network_factory.h"

namespace berth::plugins {

inline NetworkRequest request_for(std::string pod_id) {
  NetworkRequest request;
  request.pod_name = "name-of-" + pod_id;
  request.pod_namespace = "default";
  request.pod_uid = "uid-of-" + pod_id;
  request.pod_id = std::move(pod_id);
  return request;
}

template <typename Factory>
class NetworkSuite : public testing::Test {
 protected:
  void TearDown() override { MUST(run(network().close())); }
  template <typename T>
  Result<T> run(Task<T> task) {
    return factory_.ring().run_until(std::move(task));
  }
  Network& network() { return factory_.network(); }

  // As the caller keeps it.
  struct Pod {
    std::string id;
    NetworkAttachment attached;

    NetworkPod known() const {
      NetworkPod pod{.request = request_for(id), .result = attached.result, .netns = UniqueFd()};
      if (attached.netns.valid()) pod.netns = MUST(attached.netns.duplicate());
      return pod;
    }
  };
  Pod attach(const std::string& id) {
    Result<NetworkAttachment> attached = run(network().attach(request_for(id)));
    EXPECT_TRUE(attached.ok()) << attached.error().message();
    return {id, MUST(std::move(attached))};
  }
  // 0: not valid.
  static ino_t inode_of(const UniqueFd& fd) {
    struct stat found {};
    if (!fd.valid()) return 0;
    EXPECT_EQ(::fstat(fd.get(), &found), 0);
    return found.st_ino;
  }

  Factory factory_;
};

TYPED_TEST_SUITE_P(NetworkSuite);

TYPED_TEST_P(NetworkSuite, AttachGivesANamespaceUnlessItIsTheHosts) {
  const auto pod = this->attach("p");
  EXPECT_EQ(pod.attached.netns.valid(), !this->factory_.is_host());
}

TYPED_TEST_P(NetworkSuite, EveryPodHasItsOwnNamespacesAndAddresses) {
  if (this->factory_.is_host()) return;
  std::vector<typename TestFixture::Pod> pods;  // an inode number is unique while its owner lives
  std::vector<ino_t> inodes;
  std::vector<std::string> ips;
  for (int i = 0; i < 12; ++i) {
    pods.push_back(this->attach("p" + std::to_string(i)));
    const NetworkAttachment& attached = pods.back().attached;
    for (const UniqueFd* fd : {&attached.netns, &attached.ipc, &attached.uts}) {
      if (this->factory_.has_namespaces() && fd->valid()) inodes.push_back(this->inode_of(*fd));
    }
    ips.insert(ips.end(), attached.result.ips.begin(), attached.result.ips.end());
  }
  std::sort(inodes.begin(), inodes.end());
  EXPECT_EQ(std::adjacent_find(inodes.begin(), inodes.end()), inodes.end());
  std::sort(ips.begin(), ips.end());
  EXPECT_EQ(std::adjacent_find(ips.begin(), ips.end()), ips.end());
}

TYPED_TEST_P(NetworkSuite, SecondAttachGivesTheFirstOnesNamespaceAndResult) {
  const auto first = this->attach("p");
  const auto second = this->attach("p");
  EXPECT_EQ(this->inode_of(first.attached.netns), this->inode_of(second.attached.netns));
  EXPECT_EQ(first.attached.result.ips, second.attached.result.ips);
}

TYPED_TEST_P(NetworkSuite, DetachForgetsThePod) {
  const auto first = this->attach("p");
  ASSERT_TRUE(this->run(this->network().detach(first.known())).ok());
  const auto again = this->attach("p");
  if (this->factory_.is_host() || !this->factory_.has_namespaces()) return;
  EXPECT_NE(this->inode_of(first.attached.netns), this->inode_of(again.attached.netns));
}

TYPED_TEST_P(NetworkSuite, DetachToleratesRepetitionAndPodsThatItNeverSaw) {
  const auto pod = this->attach("p");
  EXPECT_TRUE(this->run(this->network().detach(pod.known())).ok());
  EXPECT_TRUE(this->run(this->network().detach(pod.known())).ok());
  EXPECT_TRUE(this->run(this->network().detach({.request = request_for("never seen")})).ok());
}

TYPED_TEST_P(NetworkSuite, RecoverKeepsLivingPodsAndForgetsTheOthers) {
  const auto lives = this->attach("lives");
  const auto ended = this->attach("ended");
  std::vector<NetworkPod> living;
  living.push_back(lives.known());
  this->factory_.restart(std::move(living));
  const auto found = this->attach("lives");
  EXPECT_EQ(this->inode_of(lives.attached.netns), this->inode_of(found.attached.netns));
  EXPECT_EQ(lives.attached.result.ips, found.attached.result.ips);
  const auto fresh = this->attach("ended");
  if (this->factory_.is_host() || !this->factory_.has_namespaces()) return;
  EXPECT_NE(this->inode_of(ended.attached.netns), this->inode_of(fresh.attached.netns));
}

TYPED_TEST_P(NetworkSuite, RepeatedConfigurationIsAccepted) {
  const NetworkConfig config{.pod_cidrs = {"10.77.0.0/16"}};
  EXPECT_TRUE(this->run(this->network().configure(config)).ok());
  EXPECT_TRUE(this->run(this->network().configure(config)).ok());
}

TYPED_TEST_P(NetworkSuite, StatusThatIsNotReadyOrNotReachableSaysWhy) {
  const NetworkStatus status = this->network().status();
  if (status.ready && status.is_reachable) return;
  EXPECT_FALSE(status.reason.empty());
  EXPECT_EQ(status.reason.find(' '), std::string::npos) << status.reason;
  EXPECT_FALSE(status.message.empty());
}

TYPED_TEST_P(NetworkSuite, WaitForAnotherGenerationEndsAtOnceAndForTheSameOneByClose) {
  const std::uint64_t seen = this->network().status().generation;
  EXPECT_TRUE(this->run(this->network().status_changed(seen + 1)).ok());
  const Deadline soon = Deadline::after_ms(20);
  Ring& ring = this->factory_.ring();
  const auto waited = this->run(with_deadline(ring, soon, this->network().status_changed(seen)));
  ASSERT_FALSE(waited.ok());
  EXPECT_TRUE(waited.error().is(Errc::deadline_exceeded)) << waited.error().message();
  MUST(this->run(this->network().close()));
  const auto closed = this->run(this->network().status_changed(seen));
  ASSERT_FALSE(closed.ok());
  EXPECT_TRUE(closed.error().is(Errc::cancelled)) << closed.error().message();
}

TYPED_TEST_P(NetworkSuite, CountersOfAPodThatIsNotAttachedAreAbsent) {
  const auto counters = this->run(this->network().counters("never seen"));
  ASSERT_TRUE(counters.ok());
  EXPECT_FALSE(counters->has_value());
}

REGISTER_TYPED_TEST_SUITE_P(NetworkSuite, AttachGivesANamespaceUnlessItIsTheHosts,
                            EveryPodHasItsOwnNamespacesAndAddresses,
                            SecondAttachGivesTheFirstOnesNamespaceAndResult, DetachForgetsThePod,
                            DetachToleratesRepetitionAndPodsThatItNeverSaw,
                            RecoverKeepsLivingPodsAndForgetsTheOthers,
                            RepeatedConfigurationIsAccepted,
                            StatusThatIsNotReadyOrNotReachableSaysWhy,
                            WaitForAnotherGenerationEndsAtOnceAndForTheSameOneByClose,
                            CountersOfAPodThatIsNotAttachedAreAbsent);

}  // namespace berth::plugins
