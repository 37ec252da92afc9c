// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/devices.h"

#include <sys/stat.h>

#include <string_view>
#include <unordered_map>
#include <utility>

namespace berth::cri {

namespace {

struct DefaultNode {
  const char* path;
  unsigned major;
  unsigned minor;
};
constexpr DefaultNode kDefaultNodes[] = {{"/dev/null", 1, 3},    {"/dev/zero", 1, 5},
                                         {"/dev/full", 1, 7},    {"/dev/random", 1, 8},
                                         {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};

oci::DeviceRule rule_of(const DefaultNode& node) {
  return {.allow = true, .type = 'c', .major = node.major, .minor = node.minor, .access = "rwm"};
}

}  // namespace

oci::DeviceRule rule_of(const oci::Device& device, const std::string& permissions) {
  return {.allow = true,
          .type = S_ISBLK(device.mode) ? 'b' : 'c',
          .major = device.major,
          .minor = device.minor,
          .access = permissions.empty() ? "rwm" : permissions};
}

std::vector<oci::Device> device_nodes(std::vector<oci::Device> found) {
  std::vector<oci::Device> nodes;
  for (const DefaultNode& node : kDefaultNodes) {
    nodes.push_back({node.path, S_IFCHR | 0666, node.major, node.minor, 0, 0});
  }
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
  for (const DefaultNode& node : kDefaultNodes) rules.push_back(rule_of(node));
  for (oci::DeviceRule& rule : found) rules.push_back(std::move(rule));
  return rules;
}

bool is_default_rule(const oci::DeviceRule& rule) {
  if (!rule.allow || rule.type != 'c' || rule.access != "rwm") return false;
  for (const DefaultNode& node : kDefaultNodes) {
    if (rule.major == node.major && rule.minor == node.minor) return true;
  }
  return false;
}

}  // namespace berth::cri
