// SPDX-License-Identifier: Apache-2.0
// Lengths, names and first lines (STYLE 2, 3, 7) of one file.
#pragma once

#include <cstddef>
#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

constexpr std::size_t kLinesLong = 400;  // listed by the test, not refused
constexpr std::size_t kLinesMax = 600;
constexpr std::size_t kFunctionLinesMax = 60;
constexpr std::size_t kColumnMax = 100;
constexpr std::size_t kReadmeLinesMax = 15;

std::size_t line_count(const Source& source);

std::vector<Finding> check_sizes(const Source& source);      // file, README of a room, columns
std::vector<Finding> check_functions(const Source& source);  // tests are free
std::vector<Finding> check_name(const Source& source);
std::vector<Finding> check_head(const Source& source);  // licence line, #pragma once

}  // namespace berth::tidy
