// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace berth::keeper {

std::optional<LogFile> look_at_log(int fd) noexcept {
  // fstat(2) on a network filesystem asks its server, and a server that is gone would stop the
  // keeper's only thread.
  struct statx status {};
  constexpr int kFlags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (fd < 0 || ::statx(fd, "", kFlags, STATX_INO | STATX_SIZE, &status) != 0) return std::nullopt;
  constexpr std::uint32_t kMinorBits = 20;  // as in the kernel's dev_t
  return LogFile{.inode = status.stx_ino,
                 .size = static_cast<std::int64_t>(status.stx_size),
                 .device = (status.stx_dev_major << kMinorBits | status.stx_dev_minor) + 1};
}

}  // namespace berth::keeper
