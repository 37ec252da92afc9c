// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/virtual_clock.h"

#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <random>

namespace berth::simulation {

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
// An arbitrary moment: 2026-01-01.
constexpr std::int64_t kBeginNs = 1'767'225'600 * kNsPerSecond;

// Read by every thread of the program.
std::atomic<bool> is_virtual{false};
std::atomic<std::int64_t> now_ns{kBeginNs};
std::mt19937_64 chance;

}  // namespace

void start_virtual_time() {
  now_ns = kBeginNs;
  is_virtual = true;
}
void stop_virtual_time() {
  is_virtual = false;
}
void advance_virtual_time(std::int64_t duration_ns) {
  now_ns += duration_ns;
}
void seed_virtual_chance(std::uint64_t seed) {
  chance.seed(seed);
}

namespace {

int clock_now(clockid_t clock, timespec* time) {
  if (!is_virtual) return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
  const std::int64_t now = now_ns;
  time->tv_sec = now / kNsPerSecond;
  time->tv_nsec = now % kNsPerSecond;
  return 0;
}

ssize_t random_bytes(void* into, std::size_t size, unsigned flags) {
  if (!is_virtual) return ::syscall(SYS_getrandom, into, size, flags);
  auto* bytes = static_cast<unsigned char*>(into);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<unsigned char>(chance());
  return static_cast<ssize_t>(size);
}

}  // namespace

}  // namespace berth::simulation

// A definition in the program comes before the C library's, for its shared libraries, too.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
  return berth::simulation::clock_now(clock, time);
}
extern "C" ssize_t getrandom(void* into, std::size_t size, unsigned flags) {
  return berth::simulation::random_bytes(into, size, flags);
}
