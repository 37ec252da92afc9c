// SPDX-License-Identifier: Apache-2.0
#include "cri/field.h"

#include <algorithm>

namespace berth::cri {

namespace {
bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}
}  // namespace

std::string shown(std::string_view value) {
  constexpr std::size_t kShownBytesMax = 64;
  std::string text(value.substr(0, kShownBytesMax));
  std::replace_if(text.begin(), text.end(), is_control, '?');
  if (value.size() > kShownBytesMax) text += "…";
  return text;
}

Error invalid_field(std::string_view field, std::string_view why) {
  return make_error(Errc::invalid_argument, std::string(field) + ": " + std::string(why));
}

Status check_name_if_set(std::string_view field, std::string_view value) {
  if (value.size() > kNameBytesMax) {
    return invalid_field(field, "is " + std::to_string(value.size()) + " bytes long, at most " +
                                    std::to_string(kNameBytesMax) + " are accepted");
  }
  if (std::any_of(value.begin(), value.end(), is_control)) {
    return invalid_field(field, "holds a control character: `" + shown(value) + "`");
  }
  return {};
}

Status check_name(std::string_view field, std::string_view value) {
  if (value.empty()) return invalid_field(field, "is required");
  return check_name_if_set(field, value);
}

bool has_dot_dot(std::string_view path) {
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (path.substr(0, slash) == "..") return true;
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  return false;
}

namespace {
Status check_path(std::string_view field, std::string_view value) {
  if (value.empty()) return invalid_field(field, "is required");
  if (value.size() >= kPathBytesMax) return invalid_field(field, "is longer than PATH_MAX");
  if (value.find('\0') != std::string_view::npos) return invalid_field(field, "holds a NUL byte");
  if (has_dot_dot(value)) {
    return invalid_field(field, "must not contain `..`: `" + shown(value) + "`");
  }
  return {};
}
}  // namespace

Status check_absolute_path(std::string_view field, std::string_view value) {
  TRY_(check_path(field, value));
  if (value.front() != '/') {
    return invalid_field(field, "must be an absolute path: `" + shown(value) + "`");
  }
  return {};
}

Status check_relative_path(std::string_view field, std::string_view value) {
  TRY_(check_path(field, value));
  if (value.front() == '/') {
    return invalid_field(field, "must be relative to log_directory: `" + shown(value) + "`");
  }
  return {};
}

}  // namespace berth::cri
