// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <utility>

namespace berth::keeper {

void Incoming::close_fds() noexcept {
  for (int i = 0; i < fd_count_; ++i) UniqueFd closer(fds_[i]);
  fd_count_ = 0;
}

UniqueFd Incoming::take_fd(int index) noexcept {
  if (index < 0 || index >= fd_count_) return {};
  return UniqueFd(std::exchange(fds_[index], -1));
}

int Incoming::peek_fd(int index) const noexcept {
  return index < 0 || index >= fd_count_ ? -1 : fds_[index];
}

Result<bool> Incoming::receive(int socket) noexcept {
  close_fds();
  header_ = {};
  iovec parts[2] = {{&header_, sizeof header_}, {body_, sizeof body_}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)];
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = 0;
  do {
    length = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return sys_error(errno, "recvmsg");
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      UniqueFd owned(fd);
      if (fd_count_ < kMessageFdsMax) fds_[fd_count_++] = owned.release();
    }
  }
  if (length == 0) return false;
  const bool whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  if (!whole || static_cast<size_t>(length) < sizeof header_ || header_.magic != kMagic ||
      header_.body_bytes != static_cast<size_t>(length) - sizeof header_) {
    close_fds();
    return Error{Errc::invalid_argument, EBADMSG, "recvmsg", {}, {}};
  }
  if (header_.version != kVersion) {
    return Error{Errc::failed_precondition, EPROTO, "recvmsg", {}, {}};
  }
  return true;
}

Status send(int socket, Header header, std::span<const std::byte> body, std::span<const int> fds) {
  header.body_bytes = static_cast<std::uint32_t>(body.size());
  iovec parts[2] = {{&header, sizeof header}, {const_cast<std::byte*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMessageFdsMax)];
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (fds.size() > static_cast<size_t>(kMessageFdsMax)) return sys_error(E2BIG, "sendmsg");
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  ssize_t length = 0;
  do {
    length = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return sys_error(errno, "sendmsg");
  return {};
}

}  // namespace berth::keeper
