// SPDX-License-Identifier: Apache-2.0
#include "cri/sandbox/port_mappings.h"

#include <cstdint>
#include <limits>
#include <string>

#include "cri/field.h"

namespace berth::cri {

namespace v1 = runtime::v1;

Result<std::vector<plugins::PortMapping>> port_mappings_of(const v1::PodSandboxConfig& config) {
  std::vector<plugins::PortMapping> mappings;
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    const v1::PortMapping& wanted = config.port_mappings(i);
    const std::string field = "config.port_mappings[" + std::to_string(i) + "]";
    constexpr int kPortMax = std::numeric_limits<std::uint16_t>::max();
    if (wanted.container_port() < 1 || wanted.container_port() > kPortMax) {
      return invalid_field(field + ".container_port", "must be 1..65535");
    }
    if (wanted.host_port() < 0 || wanted.host_port() > kPortMax) {
      return invalid_field(field + ".host_port", "must be 0..65535");
    }
    TRY_(check_name_if_set(field + ".host_ip", wanted.host_ip()));
    if (wanted.protocol() < v1::Protocol::TCP || wanted.protocol() > v1::Protocol::SCTP) {
      return invalid_field(field + ".protocol", "is unknown");
    }
    mappings.push_back({static_cast<plugins::PortMapping::Protocol>(wanted.protocol()),
                        static_cast<std::uint16_t>(wanted.container_port()),
                        static_cast<std::uint16_t>(wanted.host_port()), wanted.host_ip()});
  }
  return mappings;
}

}  // namespace berth::cri
