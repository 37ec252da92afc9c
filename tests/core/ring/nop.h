// SPDX-License-Identifier: Apache-2.0
// An operation that completes at once. Only tests use it.
#pragma once

#include "core/ring/ring.h"

namespace berth {

inline RingOp nop(Ring& ring) {
  RingOp op(ring, {"nop"});
  io_uring_prep_nop(&op.sqe());
  return op;
}

}  // namespace berth
