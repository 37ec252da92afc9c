// SPDX-License-Identifier: Apache-2.0
// JSON of configurations and plugins: bounded parse, and members with defaults. Private to this
// room.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::networking::cni {

constexpr int kJsonDepthMax = 32;
constexpr std::size_t kJsonSizeMax = 1 << 20;

// An object. invalid_argument begins with `what`: no JSON, not an object, more than 1 MiB, or
// nested deeper than 32.
Result<nlohmann::json> parse_object(const std::string& what, std::string_view text);
// Bytes that are no UTF-8 become U+FFFD.
std::string text_of(const nlohmann::json& value);

// Of a member that is absent or of another type: the empty value.
std::string string_or_empty(const nlohmann::json& object, const char* name);
bool bool_or_false(const nlohmann::json& object, const char* name);
std::vector<std::string> strings_or_empty(const nlohmann::json& object, const char* name);

}  // namespace berth::networking::cni
