// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/simulation/chance.h"

#include <string_view>
#include <utility>

namespace berth::simulation {

namespace {

constexpr std::int64_t kMicrosecond = 1'000;

// The calls whose time cri limits.
bool has_limit(std::string_view call) {
  return call == "handler.start" || call == "network.attach" || call == "network.detach";
}

}  // namespace

std::int64_t Chance::duration_ns(std::int64_t most_ns) {
  switch (pick(4)) {
    case 0:
      return static_cast<std::int64_t>(pick(50)) * kMicrosecond;
    case 1:
      return static_cast<std::int64_t>(pick(5)) * kNanosecondsPerMillisecond;
    case 2:
      return static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(most_ns / 16) + 1));
    default:
      return static_cast<std::int64_t>(pick(static_cast<std::uint64_t>(most_ns) + 1));
  }
}

Task<void> SeededFaults::wait(const char* call) {
  if (!chance_.percent(rates_.wait)) co_return;
  if (chance_.percent(50)) {
    co_await yield();
    co_return;
  }
  const bool very_long = has_limit(call) && chance_.percent(3);
  const std::int64_t most_ns =
      very_long ? 100 * kNanosecondsPerSecond : 200 * kNanosecondsPerMillisecond;
  const std::int64_t duration_ns = chance_.duration_ns(most_ns);
  co_await ring_.sleep_until(Deadline::after_ns(duration_ns));
}

Task<void> SeededFaults::before(const char* call) {
  Result<void> waited;
  if (!frozen_) waited = co_await wait(call).result();
  // Cancelled is the answer to a call of an agent that ends.
  if (frozen_) co_await fail(Errc::cancelled, "the agent is dead");
  const bool fails = chance_.percent(rates_.error);
  const std::string_view name = call;
  const bool ends_attachment = name == "network.detach" || name == "network.recover";
  if (ends_attachment && (fails || !waited.ok())) failed_detach_ = true;
  co_await std::move(waited);
  if (!fails) co_return;
  const Errc code = chance_.percent(50) ? Errc::internal : Errc::unavailable;
  co_await fail(code, std::string(call) + " fails by chance");
}

Task<void> SeededFaults::after(const char* call) {
  if (!frozen_) co_await wait(call);
  if (frozen_) co_await fail(Errc::cancelled, "the agent is dead");
  if (!chance_.percent(rates_.lost_answer)) co_return;
  co_await fail(Errc::unavailable, std::string(call) + " has lost its answer by chance");
}

std::int64_t SeededFaults::ending_ns() {
  if (!chance_.percent(rates_.wait)) return 0;
  return chance_.duration_ns(50 * kNanosecondsPerMillisecond);
}

}  // namespace berth::simulation
