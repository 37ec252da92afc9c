// SPDX-License-Identifier: Apache-2.0
// What the control files say, parsed. A field that a kernel does not print reads as 0.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::plugins {

// "123\n" to 123; "max" and nonsense to 0.
std::uint64_t parse_count(std::string_view text);
// The number behind `key` in lines of "key number" (cpu.stat, memory.stat, memory.events).
std::uint64_t parse_flat_keyed(std::string_view text, std::string_view key);
// Memory that cannot be taken back for free: usage without inactive file cache, as the kubelet
// counts.
std::uint64_t working_set_bytes(std::uint64_t usage_bytes, std::uint64_t inactive_file_bytes);

}  // namespace berth::plugins
