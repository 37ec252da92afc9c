// SPDX-License-Identifier: Apache-2.0
// Exported functions have a caller in the product (STYLE 2): a name that a header of a product room
// declares as a function occurs as a use in some product source. bench/ counts as product.
//
// The check compares names, not symbols: a function that shares its name with a called one passes.
#pragma once

#include <string_view>
#include <vector>

#include "tests/tidy/source.h"

namespace berth::tidy {

// A function without a caller that stays, and the reason. An entry that is not needed is a finding.
struct UncalledException {
  std::string_view folder;  // of the header, "core/ring/"
  std::string_view name;
  std::string_view reason;
};
const std::vector<UncalledException>& uncalled_exceptions();

std::vector<Finding> check_uncalled(const std::vector<Source>& sources,
                                    const std::vector<UncalledException>& exceptions);

}  // namespace berth::tidy
