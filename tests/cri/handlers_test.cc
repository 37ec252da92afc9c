// SPDX-License-Identifier: Apache-2.0
#include "cri/handlers.h"

#include <gtest/gtest.h>

#include <string>

#include "cri/handler_options.h"
#include "networking/host.h"
#include "tests/support/fakes/network.h"

namespace berth::cri {
namespace {

Handlers two_handlers() {
  Handlers handlers;
  EXPECT_TRUE(handlers.add({.name = "native", .pids_limit = 7}).ok());
  EXPECT_TRUE(handlers.add({.name = "batch"}).ok());
  return handlers;
}

TEST(Handlers, AnEmptyNameIsTheFirstOne) {
  const Handlers handlers = two_handlers();
  Result<const Handler*> found = handlers.find("");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ((*found)->name, "native");
  EXPECT_EQ((*found)->pids_limit, 7);
}

TEST(Handlers, AnUnknownNameOfARequestIsNotFoundAndListsTheKnownOnes) {
  const Handlers handlers = two_handlers();
  Result<const Handler*> found = handlers.find("kata");
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(found.error().is(Errc::not_found));
  EXPECT_NE(found.error().message().find("native, batch"), std::string::npos)
      << found.error().message();
}

// To a kubelet not_found means that the sandbox is gone.
TEST(Handlers, AnUnknownNameOfARecordIsAFailedPrecondition) {
  const Handlers handlers = two_handlers();
  EXPECT_TRUE(handlers.runtime("batch").ok());
  const auto found = handlers.runtime("kata");
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(found.error().is(Errc::failed_precondition));
}

TEST(Handlers, TwoOfOneNameAreRefused) {
  Handlers handlers = two_handlers();
  EXPECT_FALSE(handlers.add({.name = "batch"}).ok());
}

TEST(Handlers, APluginThatTwoShareIsAskedOnce) {
  const Handlers handlers = two_handlers();
  EXPECT_EQ(handlers.runtimes().size(), 1U);
}

TEST(Networks, TheNodesNetworkIsTheFirstThatIsConfiguredAtThatMoment) {
  fakes::Attachments attachments;
  fakes::NoFaults faults;
  fakes::FakeNetwork first("first", attachments, faults);
  fakes::FakeNetwork last("last", attachments, faults);
  Networks networks;
  networks.set_defaults({&first, &last});
  const Handler handler{.name = "native"};
  EXPECT_EQ(handler.network(networks).name(), "first");
  first.set_status({.configured = false});
  EXPECT_EQ(handler.network(networks).name(), "last");
  last.set_status({.configured = false});
  EXPECT_EQ(handler.network(networks).name(), "last");
  first.set_status({.ready = false, .configured = true});
  EXPECT_EQ(handler.network(networks).name(), "first") << "a broken one is not passed over";
}

TEST(Networks, AnUnconfiguredNetworkIsPassedOverWithItsReason) {
  fakes::Attachments attachments;
  fakes::NoFaults faults;
  fakes::FakeNetwork first("first", attachments, faults);
  fakes::FakeNetwork last("last", attachments, faults);
  Networks networks;
  networks.set_defaults({&first, &last});
  EXPECT_EQ(networks.why_passed_over(), "");
  first.set_status({.configured = false, .message = "there is no file"});
  EXPECT_EQ(networks.why_passed_over(), "first: there is no file; ");
}

TEST(Networks, TheChosenNetworkOfAHandlerIsItsOwn) {
  fakes::Attachments attachments;
  fakes::NoFaults faults;
  fakes::FakeNetwork standard("standard", attachments, faults);
  fakes::FakeNetwork chosen("chosen", attachments, faults);
  chosen.set_status({.configured = false});
  Networks networks;
  networks.set_defaults({&standard});
  const Handler handler{.name = "batch", .chosen_network = &chosen};
  EXPECT_EQ(handler.network(networks).name(), "chosen");
}

TEST(Networks, AnUnknownNameListsTheKnownOnes) {
  networking::HostNetwork host;
  Networks networks;
  networks.add(host);
  const auto found = networks.find(kHostNetwork);
  ASSERT_TRUE(found.ok());
  const auto missing = networks.find("cni");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message().find("host"), std::string::npos);
}

TEST(HandlerOptions, NameAndPluginAreEnough) {
  const Result<HandlerOptions> options = parse_handler("berth=native");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->name, "berth");
  EXPECT_EQ(options->plugin, "native");
  EXPECT_FALSE(options->network.has_value());
  EXPECT_FALSE(options->pids_limit.has_value());
}

TEST(HandlerOptions, NetworkAndPidsLimitAreTheHandlersOwn) {
  const Result<HandlerOptions> options =
      parse_handler("batch=native,network=isolated,pids-limit=512");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->network, "isolated");
  EXPECT_EQ(options->pids_limit, 512);
}

TEST(HandlerOptions, MalformedOnesAreRefused) {
  for (const char* text : {"", "native", "=native", "native=", "a=b,c", "a=b,colour=red",
                           "a=b,pids-limit=-1", "a=b,pids-limit=1x", "a\n=b", "a=b,,network=c"}) {
    EXPECT_FALSE(parse_handler(text).ok()) << text;
  }
}

}  // namespace
}  // namespace berth::cri
