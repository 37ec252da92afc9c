// SPDX-License-Identifier: Apache-2.0
#include "plugins/resources/devices.h"

#include <charconv>
#include <string_view>

namespace berth::plugins {
namespace {

std::string number_text(std::int64_t number) {
  return number < 0 ? std::string("*") : std::to_string(number);
}

bool parse_number(std::string_view text, std::int64_t& number) {
  if (text == "*") {
    number = -1;
    return true;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0 &&
         number <= 0xfffff;
}

bool parse_access(std::string_view text, DeviceRule& rule) {
  for (const char c : text) {
    if (c == 'r') {
      rule.read = true;
    } else if (c == 'w') {
      rule.write = true;
    } else if (c == 'm') {
      rule.mknod = true;
    } else {
      return false;
    }
  }
  return !text.empty();
}

}  // namespace

std::string device_rule_text(const DeviceRule& rule) {
  std::string text(1, rule.type);
  text += " " + number_text(rule.major) + ":" + number_text(rule.minor) + " ";
  if (rule.read) text += 'r';
  if (rule.write) text += 'w';
  if (rule.mknod) text += 'm';
  return text;
}

Result<DeviceRule> parse_device_rule(const std::string& text) {
  const std::string_view whole = text;
  const std::size_t space = whole.find(' ');
  const std::size_t colon = whole.find(':');
  const std::size_t last = whole.rfind(' ');
  DeviceRule rule;
  const bool shape = space == 1 && colon != std::string_view::npos && colon > space + 1 &&
                     last != std::string_view::npos && last > colon + 1;
  if (shape) rule.type = whole[0];
  if (!shape || (rule.type != 'c' && rule.type != 'b' && rule.type != 'a') ||
      !parse_number(whole.substr(space + 1, colon - space - 1), rule.major) ||
      !parse_number(whole.substr(colon + 1, last - colon - 1), rule.minor) ||
      !parse_access(whole.substr(last + 1), rule)) {
    return make_error(Errc::invalid_argument,
                      "device rule `" + text.substr(0, 128) + "` is not like `c 1:3 rwm`");
  }
  return rule;
}

}  // namespace berth::plugins
