// SPDX-License-Identifier: Apache-2.0
// Checks of single request fields. Each names the field in its error, as the client spells it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::cri {

// Longest value of a metadata field, an id or a reference; Kubernetes' own names end at 253.
constexpr std::size_t kNameBytesMax = 1024;
// Linux's PATH_MAX, the final NUL included.
constexpr std::size_t kPathBytesMax = 4096;

Error invalid_field(std::string_view field, std::string_view why);

// 1..kNameBytesMax bytes, no NUL and no other control character.
Status check_name(std::string_view field, std::string_view value);
// Like check_name; empty is allowed.
Status check_name_if_set(std::string_view field, std::string_view value);
// An absolute path without NUL and without "..", shorter than kPathBytesMax.
Status check_absolute_path(std::string_view field, std::string_view value);
// A relative path that stays below where it starts: no leading '/', no "..", not empty.
Status check_relative_path(std::string_view field, std::string_view value);
bool has_dot_dot(std::string_view path);
// What a reader can bear of a value from outside: control characters replaced, cut at 64 bytes.
std::string shown(std::string_view value);

}  // namespace berth::cri
