// SPDX-License-Identifier: Apache-2.0
// An archive given to load_archive, and what its header promises, whatever the archive is.
#pragma once

#include <string_view>

namespace berth::fuzz {

// Loads into a store of this process, checks what came of it, and empties the store again.
void load_and_check(std::string_view archive);

}  // namespace berth::fuzz
