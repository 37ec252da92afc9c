// SPDX-License-Identifier: Apache-2.0
// Text from outside (requests, images, containers) in errors and log lines.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth {

// `text` with '?' for every byte that is not printable ASCII: it cannot break a line or a terminal.
std::string printable(std::string_view text);

// `text` printable; of more than `most` bytes the first, and `...`.
std::string shortened(std::string_view text, std::size_t most);

// The same between backticks.
std::string quoted(std::string_view text, std::size_t most = 120);

}  // namespace berth
