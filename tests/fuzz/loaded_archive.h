// SPDX-License-Identifier: Apache-2.0
// Checks the guarantees of load_archive for an arbitrary archive.
#pragma once

#include <string_view>

namespace berth::fuzz {

// Loads the archive into a store of this process, checks the result, and empties the store.
void load_and_check(std::string_view archive);

}  // namespace berth::fuzz
