// SPDX-License-Identifier: Apache-2.0
// Returns memory to the kernel when no call has come in for two seconds: free pages of the
// allocator and pages of program text. An idle agent arms no timer.
#pragma once

#include <cstdint>
#include <functional>

#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/task.h"

namespace berth::cri {

class Quiet {
 public:
  // `give_back` returns the memory; main knows the allocator.
  Quiet(Ring& ring, std::function<void()> give_back)
      : ring_(ring), give_back_(std::move(give_back)) {}

  // A call has come in. Loop thread.
  void touch() noexcept {
    last_call_ns_ = monotonic_now_ns();
    touched_.set();
  }
  // For ever; ends only by cancellation.
  Task<void> watch();

 private:
  static constexpr std::int64_t kQuietNs = 2 * kNanosecondsPerSecond;

  Ring& ring_;
  std::function<void()> give_back_;
  Event touched_;
  std::int64_t last_call_ns_ = 0;
};

}  // namespace berth::cri
