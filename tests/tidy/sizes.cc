// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/sizes.h"

#include <algorithm>
#include <regex>
#include <string>

namespace berth::tidy {
namespace {

bool is_data(const Source& source) {
  return source.is(".tsv") || source.is(".json") || source.path.starts_with("tests/fuzz/seeds/");
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_build_list(const Source& source) {
  return source.is(".cmake") || file_name(source.path) == "CMakeLists.txt";
}

// Characters, not bytes: a continuation byte of UTF-8 adds no column.
std::size_t columns(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::size_t line_count(const Source& source) {
  return static_cast<std::size_t>(std::count(source.text.begin(), source.text.end(), '\n'));
}

std::vector<Finding> check_sizes(const Source& source) {
  std::vector<Finding> found;
  if (is_data(source)) return found;
  const std::size_t lines = line_count(source);
  const std::size_t end = source.text.size();
  if (lines > kLinesMax) {
    found.push_back(source.finding(end, "length", "the file has more than 600 lines: split it"));
  }
  const bool room =
      file_name(source.path) == "README.md" && source.path != "README.md" && !source.in("docs/");
  if (room && lines > kReadmeLinesMax) {
    found.push_back(source.finding(end, "readme", "a room's README has at most 15 lines"));
  }
  if (source.is(".md")) return found;
  for (std::size_t at = 0; at < end;) {
    const std::size_t stop = std::min(source.text.find('\n', at), end);
    const std::size_t width = columns(std::string_view(source.text).substr(at, stop - at));
    if (width > kColumnMax) {
      found.push_back(
          source.finding(at, "column", std::to_string(width) + " columns: 100 at most"));
    }
    at = stop + 1;
  }
  return found;
}

std::vector<Finding> check_functions(const Source& source) {
  std::vector<Finding> found;
  if (!source.is_cpp() || source.in("tests/")) return found;
  for (const Function& function : functions_of(source)) {
    const std::size_t lines = source.line_of(function.close) - source.line_of(function.header) + 1;
    if (lines <= kFunctionLinesMax) continue;
    found.push_back(source.finding(function.header, "function",
                                   std::to_string(lines) + " lines: 60 at most, split it"));
  }
  return found;
}

std::vector<Finding> check_name(const Source& source) {
  static const std::regex kBanned(
      R"((^|/)(utils?|commons?|helpers?|misc|runtime|agent)(/|\.[a-z]+$|$))");
  if (!std::regex_search(source.path, kBanned)) return {};
  return {source.finding(0, "name", "a file is named after what it holds, not after the whole")};
}

std::vector<Finding> check_head(const Source& source) {
  const bool script = source.text.starts_with("#!");
  const bool licensed = source.is_cpp() || source.is(".proto") || is_build_list(source) || script;
  std::vector<Finding> found;
  const std::size_t first = script ? source.text.find('\n') + 1 : 0;
  const std::size_t length = source.text.find('\n', first) - first;
  const std::string line = source.text.substr(std::min(first, source.text.size()), length);
  if (licensed && line.find("SPDX-License-Identifier: Apache-2.0") == std::string::npos) {
    found.push_back(
        source.finding(first, "licence", "the first line is SPDX-License-Identifier: Apache-2.0"));
  }
  if (source.is(".h") && source.text.find("\n#pragma once\n") == std::string::npos) {
    found.push_back(source.finding(0, "pragma", "a header has #pragma once"));
  }
  return found;
}

}  // namespace berth::tidy
