// SPDX-License-Identifier: Apache-2.0
#include "core/base/text.h"

namespace berth {

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= ' ' && c <= '~' ? c : '?';
  return out;
}

std::string shortened(std::string_view text, std::size_t most) {
  return printable(text.substr(0, most)) + (text.size() > most ? "..." : "");
}

std::string quoted(std::string_view text, std::size_t most) {
  return "`" + shortened(text, most) + "`";
}

}  // namespace berth
