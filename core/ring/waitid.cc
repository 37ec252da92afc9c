// SPDX-License-Identifier: Apache-2.0
#include "core/ring/waitid.h"

#include <errno.h>
#include <poll.h>

namespace berth {
namespace {

RingOp waitid_op(Ring& ring, int pidfd, siginfo_t& info, int options) {
  RingOp op(ring, {"waitid"});
  prep_waitid(op.sqe(), P_PIDFD, static_cast<id_t>(pidfd), &info, options);
  return op;
}

Task<siginfo_t> by_poll(Ring& ring, int pidfd, int options) {
  // A pidfd becomes readable when the process is a zombie, pidfd_open(2).
  co_await ring.poll(pidfd, POLLIN);
  siginfo_t info{};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, options | WNOHANG) != 0) {
    co_return sys_error(errno, "waitid", "fd " + std::to_string(pidfd));
  }
  co_return info;
}

}  // namespace

Task<siginfo_t> waitid_pidfd(Ring& ring, int pidfd, int options) {
  if (!ring.has_opcode(kOpWaitid)) {
    siginfo_t polled = co_await by_poll(ring, pidfd, options);
    co_return polled;
  }
  siginfo_t info{};
  co_await waitid_op(ring, pidfd, info, options);
  co_return info;
}

}  // namespace berth
