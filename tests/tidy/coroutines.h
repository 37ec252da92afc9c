// SPDX-License-Identifier: Apache-2.0
// The rules of STYLE 6 about a coroutine's statements and lambdas. What GCC 12 breaks inside one
// expression is in tests/core/task/await_rule_test.cc.
#pragma once

#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

std::vector<Finding> check_coroutines(const Source& source);

}  // namespace berth::tidy
