// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/base/check.h"

namespace berth {

void UniqueFd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  // EBADF means that other code closed this descriptor: a bug of ours, and dangerous to ignore.
  const int saved = errno;
  CHECK(::close(old) == 0 || errno != EBADF);
  errno = saved;
}

Result<UniqueFd> UniqueFd::duplicate() const {
  constexpr int kFirstAfterStandardStreams = 3;
  UniqueFd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, kFirstAfterStandardStreams));
  if (!copy.valid()) return sys_error(errno, "fcntl F_DUPFD_CLOEXEC");
  return copy;
}

}  // namespace berth
