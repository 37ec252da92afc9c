// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "core/base/unique_fd.h"

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

// KERNEL 6.18: epoll_ctl(2) refuses a file that cannot be polled (EPERM) before it looks for it,
// and of EPOLL_CTL_DEL for one that was never added it says ENOENT without polling. fstatfs(2),
// which would tell the filesystem, asks the server. Proof: tests/core/keeper/fuse_log_test.cc.
bool can_poll(int fd) noexcept {
  const UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event unused{};
  return ::epoll_ctl(epoll.get(), EPOLL_CTL_DEL, fd, &unused) != 0 && errno != EPERM;
}

}  // namespace berth::keeper
