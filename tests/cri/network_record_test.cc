// SPDX-License-Identifier: Apache-2.0
// What a network gave a pod survives the record, and what attach was told is told again.
#include <gtest/gtest.h>

#include "cri/sandbox/files.h"
#include "cri/sandbox/network.h"

namespace berth::cri {
namespace {

records::SandboxRecord record_of_pod() {
  records::SandboxRecord record;
  record.set_id("0123");
  record.set_network("cni");
  runtime::v1::PodSandboxConfig& config = *record.mutable_config();
  config.mutable_metadata()->set_name("web");
  config.mutable_metadata()->set_namespace_("shop");
  config.mutable_metadata()->set_uid("uid");
  (*config.mutable_annotations())["kubernetes.io/egress-bandwidth"] = "10M";
  config.mutable_linux()->set_cgroup_parent("/kubepods/pod1");
  runtime::v1::PortMapping& mapping = *config.add_port_mappings();
  mapping.set_protocol(runtime::v1::Protocol::UDP);
  mapping.set_container_port(53);
  mapping.set_host_port(5353);
  mapping.set_host_ip("192.0.2.1");
  return record;
}

plugins::NetworkResult result_of_attach() {
  return {.ips = {"10.1.0.5", "fd00::5"},
          .interfaces = {{.name = "eth0",
                          .mac = "02:00:00:00:00:05",
                          .addresses = {"10.1.0.5/24", "fd00::5/64"},
                          .mtu = 1450}},
          .routes = {{.destination = "0.0.0.0/0", .gateway = "10.1.0.1"}},
          .dns = {.nameservers = {"10.1.0.1"},
                  .domain = "example.org",
                  .search = {},
                  .options = {"ndots:2"}},
          .saved = std::string("any\0bytes\xff", 10)};
}

TEST(NetworkRecord, TheRequestHasWhatThePodsConfigSays) {
  const plugins::NetworkRequest request = network_request(record_of_pod());
  EXPECT_EQ(request.pod_id, "0123");
  EXPECT_EQ(request.pod_name, "web");
  EXPECT_EQ(request.pod_namespace, "shop");
  EXPECT_EQ(request.pod_uid, "uid");
  EXPECT_EQ(request.annotations.at("kubernetes.io/egress-bandwidth"), "10M");
  EXPECT_EQ(request.cgroup_parent, "/kubepods/pod1");
  ASSERT_EQ(request.port_mappings.size(), 1U);
  EXPECT_EQ(request.port_mappings[0].protocol, plugins::PortMapping::Protocol::udp);
  EXPECT_EQ(request.port_mappings[0].container_port, 53);
  EXPECT_EQ(request.port_mappings[0].host_port, 5353);
  EXPECT_EQ(request.port_mappings[0].host_ip, "192.0.2.1");
}

TEST(NetworkRecord, TheResultComesBackAsTheNetworkGaveIt) {
  records::SandboxRecord record = record_of_pod();
  ASSERT_TRUE(set_network_result(record, result_of_attach()).ok());
  records::SandboxRecord stored;
  ASSERT_TRUE(stored.ParseFromString(record.SerializeAsString()));
  const plugins::NetworkPod pod = network_pod(stored);
  const plugins::NetworkResult wanted = result_of_attach();
  EXPECT_EQ(pod.request.pod_id, "0123");
  EXPECT_EQ(pod.result.ips, wanted.ips);
  ASSERT_EQ(pod.result.interfaces.size(), 1U);
  EXPECT_EQ(pod.result.interfaces[0].name, "eth0");
  EXPECT_EQ(pod.result.interfaces[0].mac, wanted.interfaces[0].mac);
  EXPECT_EQ(pod.result.interfaces[0].addresses, wanted.interfaces[0].addresses);
  EXPECT_EQ(pod.result.interfaces[0].mtu, 1450U);
  ASSERT_EQ(pod.result.routes.size(), 1U);
  EXPECT_EQ(pod.result.routes[0].destination, "0.0.0.0/0");
  EXPECT_EQ(pod.result.routes[0].gateway, "10.1.0.1");
  EXPECT_EQ(pod.result.dns.nameservers, wanted.dns.nameservers);
  EXPECT_EQ(pod.result.dns.domain, wanted.dns.domain);
  EXPECT_EQ(pod.result.dns.options, wanted.dns.options);
  EXPECT_EQ(pod.result.saved, wanted.saved);
}

TEST(NetworkRecord, MoreSavedBytesThanTheContractAllowsAreRefused) {
  records::SandboxRecord record = record_of_pod();
  plugins::NetworkResult result;
  result.saved.assign(16 * 1024, 'x');
  EXPECT_TRUE(set_network_result(record, result).ok());
  result.saved += 'x';
  const Status refused = set_network_result(record, result);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message().find("cni"), std::string::npos);
}

TEST(NetworkRecord, TheNetworksDnsIsForPodsWhoseConfigNamesNoServer) {
  records::SandboxRecord record = record_of_pod();
  ASSERT_TRUE(set_network_result(record, result_of_attach()).ok());
  EXPECT_EQ(resolv_conf_text(dns_of(record)),
            "search example.org\nnameserver 10.1.0.1\noptions ndots:2\n");
  runtime::v1::DNSConfig& own = *record.mutable_config()->mutable_dns_config();
  own.add_options("rotate");
  EXPECT_EQ(resolv_conf_text(dns_of(record)),
            "search example.org\nnameserver 10.1.0.1\noptions rotate\n");
  own.add_servers("192.0.2.53");
  EXPECT_EQ(resolv_conf_text(dns_of(record)), "nameserver 192.0.2.53\noptions rotate\n");
}

}  // namespace
}  // namespace berth::cri
