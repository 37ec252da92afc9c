// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/cgroup_path.h"

#include <algorithm>

namespace berth::plugins {
namespace {

constexpr std::size_t kComponentSizeMax = 255;
constexpr std::size_t kPathSizeMax = 4096;
constexpr std::size_t kIdSizeMax = 128;

Error bad_path(std::string_view path, const char* why) {
  return make_error(Errc::invalid_argument,
                    "cgroup_parent `" + std::string(path.substr(0, 256)) + "`: " + why);
}

}  // namespace

Result<std::string> relative_cgroup_path(std::string_view path) {
  const std::string_view whole = path;
  if (path.size() > kPathSizeMax) return bad_path(whole, "longer than 4096 bytes");
  if (path.find('\0') != std::string_view::npos) return bad_path(whole, "contains a zero byte");
  std::string relative;
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    const std::string_view part = path.substr(0, end);
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    if (part.empty()) continue;
    if (part == "." || part == "..") return bad_path(whole, "contains . or ..");
    if (part.size() > kComponentSizeMax) return bad_path(whole, "a part has more than 255 bytes");
    if (!relative.empty()) relative += '/';
    relative += part;
  }
  if (relative.empty()) return bad_path(whole, "names the root");
  return relative;
}

Status validate_cgroup_id(std::string_view field, std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  };
  if (!id.empty() && id.size() <= kIdSizeMax && std::all_of(id.begin(), id.end(), allowed)) {
    return {};
  }
  return make_error(
      Errc::invalid_argument,
      std::string(field) + " `" + std::string(id.substr(0, kIdSizeMax)) + "` cannot name a cgroup");
}

std::string pod_path(std::string_view parent, std::string_view pod_id) {
  std::string path(parent);
  return path.append(1, '/').append(kPodPrefix).append(pod_id);
}

std::string nested_path(std::string_view parent, std::string_view pod_id,
                        std::string_view container_id) {
  return pod_path(parent, pod_id).append(1, '/').append(container_id);
}

std::string flat_path(std::string_view parent, std::string_view pod_id,
                      std::string_view container_id) {
  return pod_path(parent, pod_id).append(1, '.').append(container_id);
}

CgroupName parse_cgroup_name(std::string_view name) {
  if (!name.starts_with(kPodPrefix)) return {};
  name.remove_prefix(kPodPrefix.size());
  const std::size_t dot = name.find('.');
  CgroupName parsed;
  parsed.pod_id = name.substr(0, dot);
  if (dot != std::string_view::npos) parsed.container_id = name.substr(dot + 1);
  return parsed;
}

}  // namespace berth::plugins
