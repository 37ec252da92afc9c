// SPDX-License-Identifier: Apache-2.0
// The CRI's `unified` map: cgroup v2 files by name, passed through. It comes last, so it wins.
#include <algorithm>

#include "plugins/resources/policy.h"

namespace berth::plugins {
namespace {

bool is_control_file(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  const std::size_t dot = name.find('.');
  return dot != std::string_view::npos && dot != 0 && name.size() <= 128 &&
         std::all_of(name.begin(), name.end(), allowed);
}

}  // namespace

Status validate_unified(const Resources& resources) {
  for (const auto& [file, value] : resources.unified) {
    if (!is_control_file(file)) {
      return field_error("unified", file.substr(0, 128), "not a file like memory.high");
    }
    // cgroup.procs, cgroup.kill, cgroup.subtree_control: the agent alone writes these.
    if (file.starts_with("cgroup.")) {
      return field_error("unified", file, "the cgroup. files belong to the runtime");
    }
    if (value.size() > 4096) return field_error("unified", file, "value longer than 4096 bytes");
  }
  return {};
}

std::vector<ControlWrite> unified_writes(const Resources& resources) {
  std::vector<ControlWrite> writes;
  for (const auto& [file, value] : resources.unified) writes.push_back({file, value});
  return writes;
}

}  // namespace berth::plugins
