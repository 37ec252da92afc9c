// SPDX-License-Identifier: Apache-2.0
// When calls have ceased for a moment, what was needed for them goes back to the kernel: free pages
// of the allocator and program text that was needed once. An agent that is idle arms no timer at
// all.
#pragma once

#include <cstdint>
#include <functional>

#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/task.h"

namespace berth::cri {

class Quiet {
 public:
  // `give_back` is the allocator's business, known to main alone.
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
