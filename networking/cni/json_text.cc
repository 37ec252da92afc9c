// SPDX-License-Identifier: Apache-2.0
#include "networking/cni/json_text.h"

namespace berth::networking::cni {
namespace {

using nlohmann::json;

// Counted before the parse, which takes memory and stack for every level.
bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string && c == '\\') ++at;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if ((c == '[' || c == '{') && ++depth > kJsonDepthMax) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

}  // namespace

Result<json> parse_object(const std::string& what, std::string_view text) {
  if (text.size() > kJsonSizeMax) {
    return make_error(Errc::invalid_argument, what + ": is larger than 1 MiB");
  }
  if (is_too_deep(text)) {
    return make_error(Errc::invalid_argument, what + ": is nested deeper than 32");
  }
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return make_error(Errc::invalid_argument, what + ": is not valid JSON");
  }
  if (!parsed.is_object()) {
    return make_error(Errc::invalid_argument, what + ": is not a JSON object");
  }
  return parsed;
}

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string string_or_empty(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return {};
  return found->get<std::string>();
}

bool bool_or_false(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::vector<std::string> strings_or_empty(const json& object, const char* name) {
  std::vector<std::string> all;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return all;
  for (const json& item : *found) {
    if (item.is_string()) all.push_back(item.get<std::string>());
  }
  return all;
}

}  // namespace berth::networking::cni
