// SPDX-License-Identifier: Apache-2.0
#include "cri/quiet.h"

namespace berth::cri {

Task<void> Quiet::watch() {
  for (;;) {
    co_await touched_.wait();
    const std::int64_t quiet_at_ns = last_call_ns_ + kQuietNs;
    if (monotonic_now_ns() < quiet_at_ns) {
      co_await ring_.sleep_until(Deadline::at_ns(quiet_at_ns));
      continue;
    }
    touched_.reset();
    give_back_();
  }
}

}  // namespace berth::cri
