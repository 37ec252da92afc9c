// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/cgroup_mounts.h"

#include <fcntl.h>

#include <algorithm>

#include "core/linux/mount.h"
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

// Mount options of a v1 hierarchy that are no controllers (cgroups(7), cpuset(7)).
bool is_option(std::string_view word) {
  constexpr std::string_view kOptions[] = {"rw",       "ro",  "xattr",          "clone_children",
                                           "noprefix", "all", "cpuset_v2_mode", "favordynmods",
                                           "none"};
  return word.find('=') != std::string_view::npos ||
         std::find(std::begin(kOptions), std::end(kOptions), word) != std::end(kOptions);
}

bool has_word(std::string_view list, std::string_view wanted) {
  const std::vector<std::string> words = split_words(list, ',');
  return std::find(words.begin(), words.end(), wanted) != words.end();
}

constexpr std::string_view kNamePrefix = "name=";

struct Line {
  CgroupMount mount;
  std::string device;  // "0:32": of the filesystem
};

// One line: id parent major:minor root mount_point options [optional...] - type source
// super_options
bool parse_line(std::string_view text, Line& line) {
  const std::vector<std::string> fields = split_words(text);
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return false;
  const std::string& type = dash[1];
  if (type != "cgroup" && type != "cgroup2") return false;
  CgroupMount& mount = line.mount;
  line.device = fields[2];
  mount.mount_point = unescape(fields[4]);
  mount.version = type == "cgroup" ? CgroupVersion::v1 : CgroupVersion::v2;
  mount.read_only = has_word(fields[5], "ro") || has_word(dash[3], "ro");
  if (mount.version == CgroupVersion::v2) return true;
  for (std::string& option : split_words(dash[3], ',')) {
    if (option.starts_with(kNamePrefix)) mount.label = option.substr(kNamePrefix.size());
    if (!is_option(option)) mount.controllers.push_back(std::move(option));
  }
  return !mount.controllers.empty() || !mount.label.empty();
}

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ",") + word;
  return all;
}

}  // namespace

bool CgroupMount::has(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

bool CgroupMount::has_limits() const {
  return has("cpu") || has("cpuset") || has("memory") || has("pids") || has("hugetlb");
}

std::string CgroupMount::name() const {
  if (!mount_point.empty()) return mount_point.substr(mount_point.rfind('/') + 1);
  return controllers.empty() ? label : joined(controllers);
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
  std::vector<Line> lines;
  for (const std::string& text : split_words(mountinfo, '\n')) {
    Line line;
    if (!parse_line(text, line)) continue;
    const auto same = std::find_if(lines.begin(), lines.end(), [&line](const Line& other) {
      return other.device == line.device;
    });
    if (same == lines.end()) {
      lines.push_back(std::move(line));
    } else if (same->mount.read_only && !line.mount.read_only) {
      *same = std::move(line);
    }
  }
  std::vector<CgroupMount> mounts;
  for (Line& line : lines) mounts.push_back(std::move(line.mount));
  return mounts;
}

// One line: "4:memory:/path", "9:name=systemd:/path", "0::/path" of v2.
std::vector<CgroupMount> unmounted_hierarchies(std::string_view cgroup,
                                               const std::vector<CgroupMount>& mounts) {
  std::vector<CgroupMount> missing;
  for (const std::string& line : split_words(cgroup, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first == std::string::npos ? first : first + 1);
    if (second == std::string::npos || second == first + 1) continue;
    CgroupMount hierarchy{.version = CgroupVersion::v1};
    for (std::string& word : split_words(line.substr(first + 1, second - first - 1), ',')) {
      if (word.starts_with(kNamePrefix)) {
        hierarchy.label = word.substr(kNamePrefix.size());
      } else {
        hierarchy.controllers.push_back(std::move(word));
      }
    }
    // A controller is in one hierarchy, and a label names one.
    const auto mounted = [&hierarchy](const CgroupMount& mount) {
      if (mount.version != CgroupVersion::v1) return false;
      if (hierarchy.controllers.empty()) return mount.label == hierarchy.label;
      return mount.has(hierarchy.controllers.front());
    };
    if (std::none_of(mounts.begin(), mounts.end(), mounted)) {
      missing.push_back(std::move(hierarchy));
    }
  }
  return missing;
}

Result<std::vector<CgroupMount>> read_cgroup_mounts() {
  TRY(const std::string text,
      sys::read_small_file(AT_FDCWD, "/proc/self/mountinfo", kMountinfoSizeMax));
  std::vector<CgroupMount> mounts = parse_cgroup_mounts(text);
  TRY(const std::string cgroup, sys::read_small_file(AT_FDCWD, "/proc/self/cgroup"));
  for (CgroupMount& missing : unmounted_hierarchies(cgroup, mounts)) {
    mounts.push_back(std::move(missing));
  }
  return mounts;
}

Result<sys::Cgroup> open_hierarchy(const CgroupMount& mount) {
  if (!mount.mount_point.empty()) return sys::Cgroup::open(AT_FDCWD, mount.mount_point);
  std::string options = mount.controllers.empty() ? "none" : joined(mount.controllers);
  if (!mount.label.empty()) options.append(",").append(kNamePrefix).append(mount.label);
  TRY(const sys::UniqueMount detached, sys::mount_filesystem("cgroup", options));
  // The open directory keeps the mount when its own descriptor is closed.
  return sys::Cgroup::open(detached.get(), ".");
}

}  // namespace berth::plugins
