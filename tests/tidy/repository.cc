// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/repository.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "tests/tidy/coroutines.h"
#include "tests/tidy/edges.h"
#include "tests/tidy/sizes.h"
#include "tests/tidy/text_bans.h"

namespace berth::tidy {
namespace {

namespace fs = std::filesystem;

bool is_ours(const fs::path& entry) {
  static const std::set<std::string> kNot = {".git", "build", ".cache", "compile_commands.json"};
  return kNot.count(entry.filename().string()) == 0;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::vector<Source> read_repository(const std::string& root) {
  std::vector<Source> sources;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    if (!is_ours(it->path())) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || it->is_symlink()) continue;
    std::string text = read_text(it->path());
    if (text.find('\0') != std::string::npos) continue;  // not text
    sources.push_back(make_source(fs::relative(it->path(), root).string(), std::move(text)));
  }
  std::sort(sources.begin(), sources.end(),
            [](const Source& a, const Source& b) { return a.path < b.path; });
  return sources;
}

std::vector<Finding> check_source(const Source& source) {
  std::vector<Finding> all;
  for (auto* check : {check_edges, check_sizes, check_functions, check_name, check_head, check_bans,
                      check_coroutines}) {
    for (Finding& finding : check(source)) all.push_back(std::move(finding));
  }
  return all;
}

std::vector<Finding> check_rooms(const std::vector<Source>& sources) {
  std::set<std::string> paths;
  for (const Source& source : sources) paths.insert(source.path);
  std::vector<Finding> found;
  for (const Source& source : sources) {
    const std::size_t name = source.path.rfind("CMakeLists.txt");
    if (name == std::string::npos || source.text.find("berth_room(") == std::string::npos) continue;
    const std::string folder = source.path.substr(0, name);
    if (folder.empty() || paths.count(folder + "README.md") != 0) continue;
    found.push_back(source.finding(0, "readme", folder + " is a room without a README.md"));
  }
  return found;
}

}  // namespace berth::tidy
