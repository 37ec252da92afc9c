// SPDX-License-Identifier: Apache-2.0
// Device nodes of a container and the rules of its cgroup, which always agree: both are made of one
// look at the host. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/oci/spec.h"

namespace berth::cri {

// What the host has for config.devices; for a privileged container also the host's own devices,
// without rules, because it may use any.
struct FoundDevices {
  std::vector<oci::Device> nodes{};  // their paths are those in the container
  std::vector<oci::DeviceRule> rules{};
};

// `permissions` of "rwm", empty: all three.
oci::DeviceRule rule_of(const oci::Device& device, const std::string& permissions);

// The six nodes that OCI runtimes always make, then `found`; of a path twice, the last one.
std::vector<oci::Device> device_nodes(std::vector<oci::Device> found);
// Deny all, the six nodes, then `found`; privileged: allow all.
std::vector<oci::DeviceRule> device_rules(std::vector<oci::DeviceRule> found, bool privileged);
// A rule of the six nodes, which a resources plugin adds itself.
bool is_default_rule(const oci::DeviceRule& rule);

}  // namespace berth::cri
