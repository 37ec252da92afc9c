// SPDX-License-Identifier: Apache-2.0
// Paths that the documentation names exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

// The paths of the repository that a Markdown text names between back quotes: `core/ring/ring.h`,
// `core/ring/`, `cri/state/{records,paths}.h`, `plugins/*/README.md`. A token counts when its first
// part is in `folders`. What stands in an indented or fenced block is no path. Offsets are those of
// the token.
struct DocPath {
  std::size_t offset = 0;
  std::string path;  // one for each word between the braces
};
std::vector<DocPath> doc_paths(const Source& source, const std::vector<std::string>& folders);

// Whether `path`, which may end with '/' or hold '*' in place of a part of a name, is one of
// `paths` or a folder above one. A path without an extension may leave out ".h" and ".cc".
bool names_one(std::string_view path, const std::vector<std::string>& paths);

// Every Markdown file against the sources of the repository. docs/decisions and CHANGELOG.md tell
// history and are left out.
std::vector<Finding> check_doc_paths(const std::vector<Source>& sources);

}  // namespace berth::tidy
