// SPDX-License-Identifier: Apache-2.0
#include "core/oci/json_shape.h"

#include <algorithm>
#include <charconv>
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

// The code unit of an escape "\\uXXXX" at `at`; 0: there is none.
unsigned escaped_unit(std::string_view text, std::size_t at) {
  if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return 0;
  unsigned unit = 0;
  const char* const digits = text.data() + at + 2;
  const auto [end, failed] = std::from_chars(digits, digits + 4, unit, 16);
  return failed == std::errc() && end == digits + 4 ? unit : 0;
}

bool is_high(unsigned unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}
bool is_low(unsigned unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

// Bytes of the UTF-8 sequence at `at` (RFC 3629); 0: there is none.
std::size_t sequence_size(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t size = first < 0xC2   ? 0
                           : first < 0xE0 ? 2
                           : first < 0xF0 ? 3
                           : first < 0xF5 ? 4
                                          : 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool too_long = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool no_character = (first == 0xED && second > 0x9F) || (first == 0xF4 && second > 0x8F);
  return too_long || no_character ? 0 : size;
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

std::string with_valid_text(std::string_view text) {
  std::string valid;
  valid.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\\') {
      const unsigned unit = escaped_unit(text, at);
      const bool pair = is_high(unit) && is_low(escaped_unit(text, at + 6));
      const bool alone = !pair && (is_high(unit) || is_low(unit));
      const std::size_t size = pair ? 12 : alone ? 6 : 2;
      valid += alone ? std::string_view("\\ufffd") : text.substr(at, size);
      at += size;
      continue;
    }
    const std::size_t size = sequence_size(text, at);
    valid += size == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(at, size);
    at += std::max<std::size_t>(size, 1);
  }
  return valid;
}

}  // namespace berth::oci
