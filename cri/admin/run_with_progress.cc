// SPDX-License-Identifier: Apache-2.0
#include "cri/admin/run_with_progress.h"

#include "core/ring/with_deadline.h"

namespace berth::cri::admin {

Task<void> wait_at_most(Ring& ring, Event& event, std::int64_t wait_ms) {
  const Deadline deadline = Deadline::after_ms(wait_ms);
  Result<void> waited = co_await with_deadline(ring, deadline, event.wait()).result();
  if (!waited.ok() && !waited.error().is(Errc::deadline_exceeded)) {
    co_await fail(std::move(waited).error());
  }
}

}  // namespace berth::cri::admin
