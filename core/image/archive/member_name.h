// SPDX-License-Identifier: Apache-2.0
// Names of an archive's members as keys: relative, without "." and "..". Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::image {

// "./a/../b" relative to the directory `base` as a member's name; nullopt: it leads out. The root
// is the archive's: `tar -P` writes "/a" for "a".
std::optional<std::string> normal_name(std::string_view base, std::string_view name);

// "a/b" of "a/b/c"; empty for a name without a slash.
std::string_view directory_of(std::string_view name);

}  // namespace berth::image
