// SPDX-License-Identifier: Apache-2.0
// How long the native handler waits, and the names it gives to the keeper.
#pragma once

#include <cstdint>
#include <string>

namespace berth::native {

constexpr std::int64_t kKeeperStartMs = 10'000;
// Far beyond any launch that still makes progress; the caller's own deadline cancels earlier.
constexpr std::int64_t kLaunchMs = 120'000;
constexpr std::int64_t kRequestMs = 30'000;
constexpr std::int64_t kKillMs = 10'000;  // from SIGKILL to the end

}  // namespace berth::native
