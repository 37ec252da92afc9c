// SPDX-License-Identifier: Apache-2.0
// Words that are banned, where they are allowed and what to use instead (STYLE 3, 4, 6, 7). An
// exception is a line in the table with its reason, never a mark in the code.
#pragma once

#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

std::vector<Finding> check_bans(const Source& source);

}  // namespace berth::tidy
