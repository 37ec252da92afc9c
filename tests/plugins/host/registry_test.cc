// SPDX-License-Identifier: Apache-2.0
// The registry finds a plugin by its name, and an error lists the known names.
#include "plugins/host/registry.h"

#include <gtest/gtest.h>

namespace berth::plugins {
namespace {

class NamedNetwork final : public Network {
 public:
  explicit NamedNetwork(std::string name) : name_(std::move(name)) {}
  std::string_view name() const override { return name_; }
  Task<void> recover(std::vector<NetworkPod>) override { co_return; }
  Task<NetworkAttachment> attach(NetworkRequest) override { co_return NetworkAttachment(); }
  Task<void> configure(NetworkConfig) override { co_return; }
  Task<void> detach(NetworkPod) override { co_return; }
  Task<void> status_changed(std::uint64_t) override { co_return; }
  Task<std::optional<NetworkCounters>> counters(std::string) override { co_return std::nullopt; }
  NetworkStatus status() override { return {.ready = true, .is_reachable = true}; }
  Task<void> close() override { co_return; }

 private:
  std::string name_;
};

TEST(Registry, FindsAPluginByItsName) {
  Registry registry;
  auto one = std::make_unique<NamedNetwork>("one");
  Network* const expected = one.get();
  ASSERT_TRUE(registry.networks.add(std::move(one)).ok());
  ASSERT_TRUE(registry.networks.add(std::make_unique<NamedNetwork>("two")).ok());
  EXPECT_EQ(MUST(registry.networks.find("one")), expected);
}

TEST(Registry, UnknownNameListsTheKnownOnes) {
  Registry registry;
  ASSERT_TRUE(registry.networks.add(std::make_unique<NamedNetwork>("host")).ok());
  const auto found = registry.networks.find("ebpf");
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(found.error().is(Errc::not_found));
  EXPECT_NE(found.error().message().find("`ebpf`"), std::string::npos);
  EXPECT_NE(found.error().message().find("host"), std::string::npos);
}

TEST(Registry, TwoOfOneNameAreRefused) {
  Registry registry;
  ASSERT_TRUE(registry.networks.add(std::make_unique<NamedNetwork>("host")).ok());
  const Status second = registry.networks.add(std::make_unique<NamedNetwork>("host"));
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.error().is(Errc::already_exists));
  EXPECT_EQ(registry.networks.names(), "host");
}

}  // namespace
}  // namespace berth::plugins
