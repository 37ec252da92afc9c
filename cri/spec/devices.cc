// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/devices.h"

#include <sys/stat.h>

#include <string_view>
#include <unordered_map>
#include <utility>

namespace berth::cri {

oci::DeviceRule rule_of(const oci::Device& device, const std::string& permissions) {
  return {.allow = true,
          .type = S_ISBLK(device.mode) ? 'b' : 'c',
          .major = device.major,
          .minor = device.minor,
          .access = permissions.empty() ? "rwm" : permissions};
}

std::vector<oci::Device> device_nodes(std::vector<oci::Device> found) {
  constexpr mode_t kMode = S_IFCHR | 0666;
  std::vector<oci::Device> nodes = {
      {"/dev/null", kMode, 1, 3, 0, 0},    {"/dev/zero", kMode, 1, 5, 0, 0},
      {"/dev/full", kMode, 1, 7, 0, 0},    {"/dev/random", kMode, 1, 8, 0, 0},
      {"/dev/urandom", kMode, 1, 9, 0, 0}, {"/dev/tty", kMode, 5, 0, 0, 0}};
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < nodes.size(); ++i) places[nodes[i].path] = i;
  for (oci::Device& device : found) {
    const auto [known, is_new] = places.try_emplace(device.path, nodes.size());
    if (is_new) {
      nodes.push_back(std::move(device));
    } else {
      nodes[known->second] = std::move(device);
    }
  }
  return nodes;
}

std::vector<oci::DeviceRule> device_rules(std::vector<oci::DeviceRule> found, bool privileged) {
  std::vector<oci::DeviceRule> rules;
  rules.push_back({.allow = privileged, .type = 'a', .access = "rwm"});
  if (privileged) return rules;
  for (oci::DeviceRule& rule : found) rules.push_back(std::move(rule));
  return rules;
}

}  // namespace berth::cri
