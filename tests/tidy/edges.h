// SPDX-License-Identifier: Apache-2.0
// Who may include whom (STYLE 1). The table is in edges.cc and nowhere else.
#pragma once

#include <string_view>
#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

// True when the file `from` may include `target` ("core/base/error.h"), both from the root.
bool may_include(std::string_view from, std::string_view target);

std::vector<Finding> check_edges(const Source& source);

}  // namespace berth::tidy
