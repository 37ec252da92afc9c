// SPDX-License-Identifier: Apache-2.0
// A poll on the keeper's ring whose completion comes with a token.
#pragma once

#include "core/base/check.h"
#include "core/keeper/token.h"
#include "core/ring/raw.h"

namespace berth::keeper {

inline void watch(RawRing& ring, int fd, unsigned events, Token token) noexcept {
  io_uring_sqe* sqe = ring.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_add(sqe, fd, events);
  sqe->user_data = token.pack();
}

}  // namespace berth::keeper
