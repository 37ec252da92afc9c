// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/network.h"

#include <string>
#include <utility>
#include <vector>

#include "core/base/units.h"
#include "cri/sandbox/port_mappings.h"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

std::vector<std::string> vector_of(const Strings& from) {
  return {from.begin(), from.end()};
}

Strings strings_of(const std::vector<std::string>& from) {
  return {from.begin(), from.end()};
}

plugins::NetworkResult result_of(const records::SandboxRecord& record) {
  const state::v1::NetworkResult& stored = record.network_result();
  plugins::NetworkResult result;
  result.ips = vector_of(record.ips());
  for (const state::v1::NetworkInterface& each : stored.interfaces()) {
    result.interfaces.push_back({.name = each.name(),
                                 .mac = each.mac(),
                                 .addresses = vector_of(each.addresses()),
                                 .mtu = each.mtu()});
  }
  for (const state::v1::NetworkRoute& each : stored.routes()) {
    result.routes.push_back({.destination = each.destination(), .gateway = each.gateway()});
  }
  result.dns = {.nameservers = vector_of(stored.dns().nameservers()),
                .domain = stored.dns().domain(),
                .search = vector_of(stored.dns().search()),
                .options = vector_of(stored.dns().options())};
  result.saved = stored.saved();
  return result;
}

}  // namespace

plugins::NetworkRequest network_request(const records::SandboxRecord& record) {
  const v1::PodSandboxConfig& config = record.config();
  plugins::NetworkRequest request;
  request.pod_id = record.id();
  request.pod_name = config.metadata().name();
  request.pod_namespace = config.metadata().namespace_();
  request.pod_uid = config.metadata().uid();
  request.annotations = {config.annotations().begin(), config.annotations().end()};
  Result<std::vector<plugins::PortMapping>> mappings = port_mappings_of(config);
  if (mappings.ok()) request.port_mappings = std::move(*mappings);
  request.dns = {.nameservers = vector_of(config.dns_config().servers()),
                 .domain = {},
                 .search = vector_of(config.dns_config().searches()),
                 .options = vector_of(config.dns_config().options())};
  request.cgroup_parent = config.linux().cgroup_parent();
  return request;
}

plugins::NetworkPod network_pod(const records::SandboxRecord& record) {
  return {.request = network_request(record), .result = result_of(record), .netns = UniqueFd()};
}

Status set_network_result(records::SandboxRecord& record, plugins::NetworkResult result) {
  constexpr std::size_t kSavedBytesMax = 16_KiB;
  if (result.saved.size() > kSavedBytesMax) {
    return make_error(Errc::internal, "network " + record.network() + " saves " +
                                          std::to_string(result.saved.size()) +
                                          " bytes for a pod, which is more than 16 KiB");
  }
  *record.mutable_ips() = strings_of(result.ips);
  state::v1::NetworkResult& stored = *record.mutable_network_result();
  stored.Clear();
  for (const plugins::NetworkInterface& each : result.interfaces) {
    state::v1::NetworkInterface& made = *stored.add_interfaces();
    made.set_name(each.name);
    made.set_mac(each.mac);
    *made.mutable_addresses() = strings_of(each.addresses);
    made.set_mtu(each.mtu);
  }
  for (const plugins::NetworkRoute& each : result.routes) {
    state::v1::NetworkRoute& made = *stored.add_routes();
    made.set_destination(each.destination);
    made.set_gateway(each.gateway);
  }
  if (!result.dns.empty()) {
    state::v1::NetworkDns& dns = *stored.mutable_dns();
    *dns.mutable_nameservers() = strings_of(result.dns.nameservers);
    dns.set_domain(result.dns.domain);
    *dns.mutable_search() = strings_of(result.dns.search);
    *dns.mutable_options() = strings_of(result.dns.options);
  }
  stored.set_saved(std::move(result.saved));
  return {};
}

v1::DNSConfig dns_of(const records::SandboxRecord& record) {
  const v1::DNSConfig& wanted = record.config().dns_config();
  if (wanted.servers_size() > 0 || !record.network_result().has_dns()) return wanted;
  const state::v1::NetworkDns& given = record.network_result().dns();
  v1::DNSConfig dns = wanted;
  *dns.mutable_servers() = given.nameservers();
  if (dns.searches_size() == 0) {
    *dns.mutable_searches() = given.search();
    if (dns.searches_size() == 0 && !given.domain().empty()) dns.add_searches(given.domain());
  }
  if (dns.options_size() == 0) *dns.mutable_options() = given.options();
  return dns;
}

}  // namespace berth::cri
