// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <errno.h>
#include <unistd.h>

#include "core/base/check.h"

namespace berth {

void UniqueFd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  // EBADF means that somebody else closed our descriptor: ours to fix, and dangerous to ignore.
  const int saved = errno;
  CHECK(::close(old) == 0 || errno != EBADF);
  errno = saved;
}

}  // namespace berth
