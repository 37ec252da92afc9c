// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/cgroup_mounts.h"

#include <fcntl.h>

#include <algorithm>

#include "core/linux/openat2.h"

namespace berth::plugins {
namespace {

constexpr std::size_t kMountinfoSizeMax = 64 << 20;  // hosts with a hundred thousand mounts exist

// proc(5): space, tab, newline and backslash are octal escapes.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size()) {
      plain.push_back(text[i]);
      continue;
    }
    const auto digit = [&text, i](std::size_t at) { return text[i + at] - '0'; };
    plain.push_back(static_cast<char>(digit(1) * 64 + digit(2) * 8 + digit(3)));
    i += 3;
  }
  return plain;
}

bool known_controller(std::string_view option) {
  constexpr std::string_view kKnown[] = {"cpu",     "cpuacct", "cpuset",   "memory",    "pids",
                                         "devices", "hugetlb", "freezer",  "net_cls",   "blkio",
                                         "rdma",    "misc",    "net_prio", "perf_event"};
  return std::find(std::begin(kKnown), std::end(kKnown), option) != std::end(kKnown);
}

// One line: id parent major:minor root mount_point options [optional...] - type source
// super_options
bool parse_line(std::string_view line, CgroupMount& mount) {
  const std::vector<std::string> fields = split_words(line);
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 5 || fields.end() - dash < 4) return false;
  const std::string& type = dash[1];
  if (type != "cgroup" && type != "cgroup2") return false;
  mount.mount_point = unescape(fields[4]);
  mount.version = type == "cgroup" ? CgroupVersion::v1 : CgroupVersion::v2;
  if (mount.version == CgroupVersion::v2) return true;
  for (std::string& option : split_words(dash[3], ',')) {
    if (known_controller(option)) mount.controllers.push_back(std::move(option));
  }
  // A named hierarchy (name=systemd) has no controller and is not ours to use.
  return !mount.controllers.empty();
}

}  // namespace

bool CgroupMount::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::vector<std::string> split_words(std::string_view text, char separator) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.find('\n'));
    if (end != 0) words.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return words;
}

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (const std::string& line : split_words(mountinfo, '\n')) {
    CgroupMount mount;
    if (!parse_line(line, mount)) continue;
    const auto same = [&mount](const CgroupMount& other) {
      return other.version == mount.version && other.controllers == mount.controllers;
    };
    if (std::none_of(mounts.begin(), mounts.end(), same)) mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::vector<CgroupMount>> read_cgroup_mounts() {
  TRY(const std::string text,
      sys::read_small_file(AT_FDCWD, "/proc/self/mountinfo", kMountinfoSizeMax));
  return parse_cgroup_mounts(text);
}

}  // namespace berth::plugins
