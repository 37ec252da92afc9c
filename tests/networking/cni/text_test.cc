// SPDX-License-Identifier: Apache-2.0
// The pure parts of networking/cni and networking/limits.
#include <gtest/gtest.h>

#include <string>

#include "networking/cni/conf.h"
#include "networking/cni/result.h"
#include "networking/cni/runtime_config.h"
#include "networking/cni/saved.h"
#include "networking/limits/bandwidth.h"

namespace berth::networking::cni {
namespace {

TEST(Quantity, KubernetesFormsGiveTheirValueRoundedUp) {
  EXPECT_EQ(MUST(parse_quantity("10M")), 10'000'000u);
  EXPECT_EQ(MUST(parse_quantity("1.5Gi")), 1'610'612'736u);
  EXPECT_EQ(MUST(parse_quantity("1e6")), 1'000'000u);
  EXPECT_EQ(MUST(parse_quantity("1500m")), 2u);
  EXPECT_EQ(MUST(parse_quantity("+5k")), 5'000u);
}

TEST(Quantity, OtherTextIsRefused) {
  for (const char* text : {"", "zb", "1zb", "-1", "1..2", "M", "1 M", "1e", "9E99", "1Mi5"}) {
    EXPECT_FALSE(parse_quantity(text).ok()) << text;
  }
}

TEST(Bandwidth, ErrorNamesTheAnnotation) {
  const auto refused = bandwidth_of({{"kubernetes.io/egress-bandwidth", "1zb"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(refused.error().is(Errc::invalid_argument));
  EXPECT_NE(refused.error().message().find("kubernetes.io/egress-bandwidth"), std::string::npos);
  EXPECT_FALSE(bandwidth_of({{"kubernetes.io/ingress-bandwidth", "1"}}).ok());
}

TEST(CniConf, MalformedConfigurationsAreRefusedByTheMember) {
  struct Case {
    const char* text;
    const char* named;
  };
  const Case cases[] = {
      {"[]", "not a JSON object"},
      {"{", "not valid JSON"},
      {R"({"cniVersion":"1.0.0","plugins":[{"type":"a"}]})", "name"},
      {R"({"name":"n","plugins":[{"type":"a"}]})", "cniVersion"},
      {R"({"name":"n","cniVersion":"9.0.0","plugins":[{"type":"a"}]})", "cniVersion"},
      {R"({"name":"n","cniVersion":"1.0.0"})", "plugins"},
      {R"({"name":"n","cniVersion":"1.0.0","plugins":[]})", "plugins"},
      {R"({"name":"n","cniVersion":"1.0.0","plugins":[{"type":"../sh"}]})", "plugins[0].type"},
  };
  for (const Case& one : cases) {
    const auto conf = parse_conf(ConfForm::list, one.text);
    ASSERT_FALSE(conf.ok()) << one.text;
    EXPECT_NE(conf.error().message().find(one.named), std::string::npos) << one.text;
  }
  EXPECT_FALSE(parse_conf(ConfForm::list, std::string(40, '[')).ok());
}

TEST(CniConf, PluginHearsOnlyOfTheCapabilitiesItDeclares) {
  const NetworkConf conf = MUST(parse_conf(
      ConfForm::single,
      R"({"name":"n","cniVersion":"0.4.0","type":"a","capabilities":{"dns":true,"mac":false}})"));
  ExecutionConf execution;
  execution.runtime = R"({"dns":{"servers":["1.1.1.1"]},"mac":"x","bandwidth":{}})";
  execution.previous = R"({"cniVersion":"0.4.0"})";
  EXPECT_EQ(MUST(execution_conf(conf, conf.plugins[0], execution)),
            R"({"cniVersion":"0.4.0","name":"n","prevResult":{"cniVersion":"0.4.0"},)"
            R"("runtimeConfig":{"dns":{"servers":["1.1.1.1"]}},"type":"a"})");
}

TEST(CniResult, AddressesOfThePodsInterfaceAreItsIps) {
  const auto result = MUST(read_result(
      R"({"interfaces":[{"name":"br"},{"name":"eth0","mac":"02:00:00:00:00:01","sandbox":"/n"}],
          "ips":[{"address":"10.1.0.2/16","interface":1},{"address":"10.1.0.1/16","interface":0},
                 {"address":"fd00::2/64"}],
          "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}],"dns":{"nameservers":["1.1.1.1"]}})",
      "eth0"));
  EXPECT_EQ(result.ips, (std::vector<std::string>{"10.1.0.2", "fd00::2"}));
  ASSERT_EQ(result.interfaces.size(), 1u);
  EXPECT_EQ(result.interfaces[0].mac, "02:00:00:00:00:01");
  ASSERT_EQ(result.routes.size(), 1u);
  EXPECT_EQ(result.dns.nameservers.size(), 1u);
}

TEST(CniResult, MalformedMembersAreRefusedByName) {
  for (const char* text :
       {R"({"ips":[{"address":"10.1.0.2"}]})", R"({"ips":[{"address":"x/3"}]})", R"({"ips":{}})",
        R"({"ips":[1]})", R"({"routes":[{"dst":"no"}]})", R"({"interfaces":"a"})"}) {
    EXPECT_FALSE(read_result(text, "eth0").ok()) << text;
  }
}

TEST(CniResult, VersionOfAddressesFollowsTheConfiguration) {
  EXPECT_EQ(
      MUST(convert_result(R"({"cniVersion":"1.0.0","ips":[{"address":"fd00::2/64"}]})", "0.3.1")),
      R"({"cniVersion":"0.3.1","ips":[{"address":"fd00::2/64","version":"6"}]})");
  EXPECT_EQ(MUST(convert_result(R"({"ips":[{"address":"10.0.0.2/8","version":"4"}]})", "1.0.0")),
            R"({"cniVersion":"1.0.0","ips":[{"address":"10.0.0.2/8"}]})");
  EXPECT_FALSE(convert_result(R"({"cniVersion":"7.0.0"})", "1.0.0").ok());
}

TEST(CniArgs, SemicolonInAPodsNameIsRefused) {
  plugins::NetworkRequest request;
  request.pod_name = "a;K8S_POD_UID=0";
  EXPECT_FALSE(cni_args(request).ok());
  request.pod_name = "a";
  request.pod_id = "id";
  EXPECT_EQ(MUST(cni_args(request)),
            "IgnoreUnknown=1;K8S_POD_NAMESPACE=;K8S_POD_NAME=a;K8S_POD_INFRA_CONTAINER_ID=id;"
            "K8S_POD_UID=");
}

TEST(CniSaved, AttachmentReadsBackAsItWas) {
  Attachment attachment;
  attachment.container_id = "p1";
  attachment.args = "A=1";
  attachment.result = R"({"cniVersion":"1.0.0"})";
  attachment.conf =
      MUST(parse_conf(ConfForm::single, R"({"name":"n","cniVersion":"1.0.0","type":"a"})"));
  const std::string text = saved_text(attachment);
  EXPECT_EQ(saved_text(MUST(read_saved(text))), text);
  EXPECT_FALSE(read_saved("{}").ok());
}

}  // namespace
}  // namespace berth::networking::cni
