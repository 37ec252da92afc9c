// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/run_options.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

namespace berth::cli {

namespace {

Error refuse(const char* option, const std::string& text, const char* why) {
  return make_error(Errc::invalid_argument, std::string(option) + " `" + text + "`: " + why);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

int shift_of(char unit) {
  switch (unit) {
    case 'k':
      return 10;
    case 'm':
      return 20;
    case 'g':
      return 30;
    case 't':
      return 40;
    default:
      return -1;
  }
}

}  // namespace

Result<std::int64_t> parse_memory(const std::string& text) {
  std::string_view digits = text;
  if (!digits.empty() && tolower(static_cast<unsigned char>(digits.back())) == 'b') {
    digits.remove_suffix(1);
  }
  int shift = 0;
  if (!digits.empty() && !isdigit(static_cast<unsigned char>(digits.back()))) {
    shift = shift_of(static_cast<char>(tolower(static_cast<unsigned char>(digits.back()))));
    digits.remove_suffix(1);
  }
  const std::optional<std::int64_t> number = whole_number(digits);
  if (!number || shift < 0) return refuse("--memory", text, "want a number and b, k, m, g or t");
  if (*number <= 0) return refuse("--memory", text, "want more than nothing");
  if (*number > (std::numeric_limits<std::int64_t>::max() >> shift)) {
    return refuse("--memory", text, "too large");
  }
  return *number << shift;
}

Result<std::int64_t> parse_cpus(const std::string& text) {
  double cpus = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpus);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(cpus)) {
    return refuse("--cpus", text, "want a number such as 0.5");
  }
  if (cpus < 0.001 || cpus > 1e6) return refuse("--cpus", text, "want 0.001 or more");
  return static_cast<std::int64_t>(std::llround(cpus * 1000));
}

Result<VolumeOption> parse_volume(const std::string& text) {
  VolumeOption volume;
  const std::size_t first = text.find(':');
  if (first == std::string::npos) return refuse("-v", text, "want HOST:CONTAINER[:ro]");
  const std::size_t second = text.find(':', first + 1);
  volume.host_path = text.substr(0, first);
  volume.container_path = text.substr(first + 1, second - first - 1);
  const std::string mode = second == std::string::npos ? "rw" : text.substr(second + 1);
  if (mode != "ro" && mode != "rw") return refuse("-v", text, "the mode is ro or rw");
  volume.readonly = mode == "ro";
  if (!volume.host_path.starts_with('/') || !volume.container_path.starts_with('/')) {
    return refuse("-v", text, "both paths must be absolute");
  }
  return volume;
}

Result<EnvironmentOption> parse_environment(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (text.empty() || equals == 0) return refuse("-e", text, "want KEY=VALUE");
  if (equals != std::string::npos) {
    return EnvironmentOption{text.substr(0, equals), text.substr(equals + 1)};
  }
  const char* value = std::getenv(text.c_str());
  if (value == nullptr) return refuse("-e", text, "not set here; want KEY=VALUE");
  return EnvironmentOption{text, value};
}

Result<UserOption> parse_user(const std::string& text) {
  UserOption user;
  const std::size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  if (name.empty()) return refuse("-u", text, "want NAME, UID or UID:GID");
  if (const std::optional<std::int64_t> uid = whole_number(name)) {
    if (*uid < 0) return refuse("-u", text, "ids are not negative");
    user.uid = *uid;
  } else {
    user.name = name;
  }
  if (colon == std::string::npos) return user;
  const std::optional<std::int64_t> gid = whole_number(text.substr(colon + 1));
  if (!gid || *gid < 0) return refuse("-u", text, "CRI takes the group by number");
  user.gid = *gid;
  return user;
}

}  // namespace berth::cli
