// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/member_name.h"

#include <algorithm>
#include <vector>

namespace berth::image {

std::optional<std::string> normal_name(std::string_view base, std::string_view name) {
  if (name.starts_with('/')) base = {};
  std::vector<std::string_view> parts;
  for (const std::string_view text : {base, name}) {
    std::size_t begin = 0;
    while (begin <= text.size()) {
      const std::size_t end = std::min(text.find('/', begin), text.size());
      const std::string_view part = text.substr(begin, end - begin);
      begin = end + 1;
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        parts.push_back(part);
      } else if (parts.empty()) {
        return std::nullopt;
      } else {
        parts.pop_back();
      }
    }
  }
  std::string normal;
  for (const std::string_view part : parts) {
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

std::string_view directory_of(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
}

}  // namespace berth::image
