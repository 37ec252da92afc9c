// SPDX-License-Identifier: Apache-2.0
#include "core/oci/json_shape.h"

#include <string>

namespace berth::oci {
namespace {

constexpr int kDepthMax = 64;
constexpr std::size_t kValuesMax = 262'144;

// Behind the quote that closes the string whose first character is at `at`.
std::size_t string_end(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  return at + 1;
}

Error refused(const char* kind, const std::string& why) {
  return make_error(Errc::invalid_argument, std::string(kind) + ": " + why);
}

}  // namespace

Status check_json_shape(const char* kind, std::string_view text) {
  int depth = 0;
  std::size_t values = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at++];
    if (c == '"') at = string_end(text, at);
    if (c == ']' || c == '}') --depth;
    if (c == '[' || c == '{') {
      ++values;
      if (++depth > kDepthMax) return refused(kind, "is nested deeper than 64");
    }
    if (c == ',' && ++values > kValuesMax) return refused(kind, "has more than 262144 values");
  }
  return {};
}

}  // namespace berth::oci
