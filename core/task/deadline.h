// SPDX-License-Identifier: Apache-2.0
// Deadline: a point in monotonic time, or never. A caller passes it down unchanged, so that all
// steps share one limit; a duration would start again at every call.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>

#include "core/base/units.h"

namespace berth {

class Deadline {
 public:
  static constexpr Deadline never() noexcept { return Deadline(kNever); }
  static constexpr Deadline at_ns(std::int64_t monotonic_ns) noexcept {
    return Deadline(monotonic_ns);
  }
  // Negative is already past; an overflow gives never.
  static Deadline after_ns(std::int64_t duration_ns) noexcept {
    const std::int64_t now_ns = monotonic_now_ns();
    if (duration_ns <= 0) return Deadline(std::max(duration_ns, -now_ns) + now_ns);
    return Deadline(duration_ns > kNever - now_ns ? kNever : now_ns + duration_ns);
  }
  static Deadline after_ms(std::int64_t duration_ms) noexcept {
    constexpr std::int64_t kMost = kNever / kNanosecondsPerMillisecond;
    if (duration_ms >= kMost) return never();
    return after_ns(std::max(duration_ms, -kMost) * kNanosecondsPerMillisecond);
  }
  static Deadline earliest(Deadline a, Deadline b) noexcept { return std::min(a, b); }

  constexpr bool is_never() const noexcept { return at_ns_ == kNever; }
  constexpr std::int64_t monotonic_ns() const noexcept { return at_ns_; }
  bool passed() const noexcept { return remaining_ns() == 0; }
  // 0 when past; the largest number for never.
  std::int64_t remaining_ns() const noexcept {
    if (is_never()) return kNever;
    return std::max<std::int64_t>(0, at_ns_ - monotonic_now_ns());
  }
  friend constexpr auto operator<=>(Deadline, Deadline) noexcept = default;

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
  explicit constexpr Deadline(std::int64_t at_ns) noexcept : at_ns_(at_ns) {}

  std::int64_t at_ns_;
};

}  // namespace berth
