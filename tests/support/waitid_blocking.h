// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <errno.h>
#include <poll.h>

#include <optional>

#include "core/linux/pidfd.h"

namespace berth::sys {

// Waits for the end of a child and reaps it.
inline Result<ExitStatus> waitid_blocking(int pidfd) {
  pollfd ended{pidfd, POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  TRY(const std::optional<ExitStatus> status, waitid_nohang(pidfd));
  CHECK(status.has_value());
  return *status;
}

}  // namespace berth::sys
