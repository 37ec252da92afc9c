// SPDX-License-Identifier: Apache-2.0
// Names for sizes and times, so that a number in the code says what it counts.
#pragma once

#include <time.h>

#include <cstddef>
#include <cstdint>

namespace berth {

constexpr std::size_t operator""_KiB(unsigned long long n) {
  return n << 10;
}
constexpr std::size_t operator""_MiB(unsigned long long n) {
  return n << 20;
}
constexpr std::size_t operator""_GiB(unsigned long long n) {
  return n << 30;
}

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;

inline std::int64_t clock_now_ns(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * kNanosecondsPerSecond + now.tv_nsec;
}
// For durations and deadlines. Stands still while the machine is suspended.
inline std::int64_t monotonic_now_ns() noexcept {
  return clock_now_ns(CLOCK_MONOTONIC);
}
// For times that people and CRI clients read (created_at, started_at): Unix time.
inline std::int64_t realtime_now_ns() noexcept {
  return clock_now_ns(CLOCK_REALTIME);
}

}  // namespace berth
