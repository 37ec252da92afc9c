// SPDX-License-Identifier: Apache-2.0
// The files of the repository and the rules that are asked of each.
#pragma once

#include <string>
#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

// Every text file below `root` but what git ignores and git itself. Sorted by path.
std::vector<Source> read_repository(const std::string& root);

// All rules on one file.
std::vector<Finding> check_source(const Source& source);

// A folder with a CMake room and no README.md.
std::vector<Finding> check_rooms(const std::vector<Source>& sources);

}  // namespace berth::tidy
