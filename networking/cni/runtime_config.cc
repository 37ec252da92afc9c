// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/runtime_config.h"

#include <limits>

#include "networking/cni/json_text.h"
#include "networking/limits/bandwidth.h"

namespace berth::networking::cni {
namespace {

using nlohmann::json;
using plugins::NetworkRequest;
using plugins::PortMapping;

// Bits that may pass at once. The plugin turns it into the size of a token bucket, whose kernel
// type has 32 bits.
constexpr std::uint32_t kBurstBits = std::numeric_limits<std::int32_t>::max();

const char* name_of(PortMapping::Protocol protocol) {
  switch (protocol) {
    case PortMapping::Protocol::tcp:
      return "tcp";
    case PortMapping::Protocol::udp:
      return "udp";
    case PortMapping::Protocol::sctp:
      return "sctp";
  }
  return "tcp";
}

json port_mappings(const NetworkRequest& request) {
  json all = json::array();
  for (const PortMapping& mapping : request.port_mappings) {
    if (mapping.host_port == 0) continue;
    json one = json::object();
    one["hostPort"] = mapping.host_port;
    one["containerPort"] = mapping.container_port;
    one["protocol"] = name_of(mapping.protocol);
    if (!mapping.host_ip.empty()) one["hostIP"] = mapping.host_ip;
    all.push_back(std::move(one));
  }
  return all;
}

json bandwidth_json(const Bandwidth& bandwidth) {
  json object = json::object();
  if (bandwidth.ingress_bits_per_second != 0) {
    object["ingressRate"] = bandwidth.ingress_bits_per_second;
    object["ingressBurst"] = kBurstBits;
  }
  if (bandwidth.egress_bits_per_second != 0) {
    object["egressRate"] = bandwidth.egress_bits_per_second;
    object["egressBurst"] = kBurstBits;
  }
  return object;
}

json dns_json(const plugins::NetworkDns& dns) {
  json object = json::object();
  if (!dns.nameservers.empty()) object["servers"] = dns.nameservers;
  if (!dns.search.empty()) object["searches"] = dns.search;
  if (!dns.options.empty()) object["options"] = dns.options;
  return object;
}

// One range set for each family.
json ip_ranges(const std::vector<std::string>& pod_cidrs) {
  json sets = json::array();
  for (const std::string& cidr : pod_cidrs) {
    json range = json::object();
    range["subnet"] = cidr;
    sets.push_back(json::array({std::move(range)}));
  }
  return sets;
}

void put_if_any(json& into, const char* name, json value) {
  if (!value.empty()) into[name] = std::move(value);
}

}  // namespace

Result<std::string> cni_args(const NetworkRequest& request) {
  struct Argument {
    const char* name;
    const char* field;
    const std::string& value;
  };
  const Argument arguments[] = {
      {"K8S_POD_NAMESPACE", "metadata.namespace", request.pod_namespace},
      {"K8S_POD_NAME", "metadata.name", request.pod_name},
      {"K8S_POD_INFRA_CONTAINER_ID", "id", request.pod_id},
      {"K8S_POD_UID", "metadata.uid", request.pod_uid},
  };
  std::string all = "IgnoreUnknown=1";
  for (const Argument& argument : arguments) {
    for (const char c : argument.value) {
      if (c != ';' && static_cast<unsigned char>(c) >= ' ' && c != 127) continue;
      return make_error(Errc::invalid_argument,
                        std::string(argument.field) + ": has a `;` or a control character");
    }
    all += std::string(";") + argument.name + "=" + argument.value;
  }
  return all;
}

Result<std::string> runtime_config(const NetworkRequest& request,
                                   const std::vector<std::string>& pod_cidrs) {
  TRY(const Bandwidth bandwidth, bandwidth_of(request.annotations));
  json object = json::object();
  put_if_any(object, "portMappings", port_mappings(request));
  put_if_any(object, "bandwidth", bandwidth_json(bandwidth));
  put_if_any(object, "dns", dns_json(request.dns));
  put_if_any(object, "ipRanges", ip_ranges(pod_cidrs));
  put_if_any(object, "io.kubernetes.cri.pod-annotations", json(request.annotations));
  if (!request.cgroup_parent.empty()) object["cgroupPath"] = request.cgroup_parent;
  return text_of(object);
}

}  // namespace berth::networking::cni
