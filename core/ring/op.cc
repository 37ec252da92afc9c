// SPDX-License-Identifier: Apache-2.0
#include "core/ring/op.h"

#include <errno.h>

#include <string>

#include "core/ring/ring.h"

namespace berth {

bool RingOp::suspend(PromiseBase& waiter) {
  if (name_.cancellable && waiter.cancelled()) {
    res_ = -ECANCELED;
    return false;
  }
  ring_->submit(*this);
  park(waiter);
  return true;
}

void RingOp::on_cancel() noexcept {
  if (!name_.cancellable) return;
  cancelled_ = true;
  ring_->cancel(*this);
}

void RingOp::on_cqe(int res, unsigned) noexcept {
  res_ = res;
}

void RingOp::on_end() noexcept {
  // close(2) is never repeated: the number is free even after EINTR.
  const bool interrupted = res_ == -EINTR && sqe_.opcode != IORING_OP_CLOSE;
  if (interrupted && !cancelled_) {
    ring_->submit(*this);
    return;
  }
  if (interrupted) res_ = -ECANCELED;
  wake();
}

Result<int> RingOp::resume() {
  if (res_ >= 0) return res_;
  std::string subject = name_.path != nullptr ? name_.path : "fd " + std::to_string(sqe_.fd);
  return sys_error(-res_, name_.op, std::move(subject));
}

}  // namespace berth
