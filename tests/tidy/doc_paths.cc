// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/doc_paths.h"

#include <algorithm>
#include <regex>
#include <set>
#include <utility>

namespace berth::tidy {
namespace {

// The text with the lines of indented and fenced blocks as blanks.
std::string prose_of(const std::string& text) {
  std::string prose = text;
  bool fenced = false;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    const bool fence = line.starts_with("```");
    if (fence) fenced = !fenced;
    if (fence || fenced || line.starts_with("    ")) {
      std::fill(prose.begin() + static_cast<std::ptrdiff_t>(begin),
                prose.begin() + static_cast<std::ptrdiff_t>(end), ' ');
    }
    begin = end + 1;
  }
  return prose;
}

// "a/{b,c}.h" -> "a/b.h", "a/c.h".
std::vector<std::string> expand(const std::string& path) {
  const std::size_t open = path.find('{');
  const std::size_t close = path.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {path};
  std::vector<std::string> all;
  std::size_t begin = open + 1;
  while (begin <= close) {
    const std::size_t end = std::min(path.find(',', begin), close);
    const std::string one = path.substr(0, open) + path.substr(begin, end - begin);
    for (std::string& whole : expand(one + path.substr(close + 1))) all.push_back(std::move(whole));
    begin = end + 1;
  }
  return all;
}

// '*' stands for any characters of one part.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (std::size_t i = 0; i <= text.size(); ++i) {
      if (matches(pattern.substr(1), text.substr(i))) return true;
      if (i < text.size() && text[i] == '/') break;
    }
    return false;
  }
  return !text.empty() && pattern.front() == text.front() &&
         matches(pattern.substr(1), text.substr(1));
}

}  // namespace

std::vector<DocPath> doc_paths(const Source& source, const std::vector<std::string>& folders) {
  static const std::regex kToken("`([A-Za-z0-9_.*/-]+/[A-Za-z0-9_.,*{}/-]*)`");
  const std::string prose = prose_of(source.text);
  std::vector<DocPath> found;
  for (std::sregex_iterator it(prose.begin(), prose.end(), kToken), end; it != end; ++it) {
    const std::string token = (*it)[1];
    const std::string first = token.substr(0, token.find('/'));
    if (std::find(folders.begin(), folders.end(), first) == folders.end()) continue;
    for (std::string& path : expand(token)) {
      found.push_back({static_cast<std::size_t>(it->position(1)), std::move(path)});
    }
  }
  return found;
}

bool names_one(std::string_view path, const std::vector<std::string>& paths) {
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::any_of(paths.begin(), paths.end(), [path](const std::string& present) {
    for (std::size_t end = present.find('/'); end != std::string::npos;
         end = present.find('/', end + 1)) {
      if (matches(path, std::string_view(present).substr(0, end))) return true;
    }
    const std::size_t dot = present.rfind('.');
    return matches(path, present) ||
           (dot != std::string::npos && matches(path, std::string_view(present).substr(0, dot)));
  });
}

std::vector<Finding> check_doc_paths(const std::vector<Source>& sources) {
  std::vector<std::string> paths;
  std::set<std::string> tops;
  for (const Source& source : sources) {
    paths.push_back(source.path);
    const std::size_t slash = source.path.find('/');
    if (slash != std::string::npos) tops.insert(source.path.substr(0, slash));
  }
  const std::vector<std::string> folders(tops.begin(), tops.end());
  std::vector<Finding> found;
  for (const Source& source : sources) {
    if (!source.is(".md") || source.in("docs/decisions/") || source.is("CHANGELOG.md")) continue;
    for (const DocPath& named : doc_paths(source, folders)) {
      if (names_one(named.path, paths)) continue;
      found.push_back(source.finding(named.offset, "doc-path", named.path + " does not exist"));
    }
  }
  return found;
}

}  // namespace berth::tidy
