// SPDX-License-Identifier: Apache-2.0
// One function per operation: it fills a submission entry and does nothing else.
#include <fcntl.h>

#include <utility>

#include "core/ring/ring.h"

namespace berth {

RingOp Ring::read(int fd, std::span<char> into, std::uint64_t offset) {
  RingOp op(*this, {"read"});
  io_uring_prep_read(&op.sqe(), fd, into.data(), static_cast<unsigned>(into.size()), offset);
  return op;
}

RingOp Ring::write(int fd, std::string_view bytes, std::uint64_t offset) {
  RingOp op(*this, {"write"});
  io_uring_prep_write(&op.sqe(), fd, bytes.data(), static_cast<unsigned>(bytes.size()), offset);
  return op;
}

RingOp Ring::recv(int socket, std::span<char> into, int flags) {
  RingOp op(*this, {"recv"});
  io_uring_prep_recv(&op.sqe(), socket, into.data(), into.size(), flags);
  return op;
}

RingOp Ring::send(int socket, std::string_view bytes, int flags) {
  RingOp op(*this, {"send"});
  io_uring_prep_send(&op.sqe(), socket, bytes.data(), bytes.size(), flags);
  return op;
}

RingOp Ring::recvmsg(int socket, msghdr& message, int flags) {
  RingOp op(*this, {"recvmsg"});
  io_uring_prep_recvmsg(&op.sqe(), socket, &message, static_cast<unsigned>(flags));
  return op;
}

RingOp Ring::sendmsg(int socket, const msghdr& message, int flags) {
  RingOp op(*this, {"sendmsg"});
  io_uring_prep_sendmsg(&op.sqe(), socket, &message, static_cast<unsigned>(flags));
  return op;
}

RingOp Ring::accept(int listener) {
  RingOp op(*this, {"accept"});
  io_uring_prep_accept(&op.sqe(), listener, nullptr, nullptr, SOCK_CLOEXEC);
  return op;
}

RingOp Ring::connect(int socket, const sockaddr* address, socklen_t length) {
  RingOp op(*this, {"connect"});
  io_uring_prep_connect(&op.sqe(), socket, address, length);
  return op;
}

RingOp Ring::poll(int fd, unsigned events) {
  RingOp op(*this, {"poll"});
  io_uring_prep_poll_add(&op.sqe(), fd, events);
  return op;
}

RingOp Ring::openat(int dirfd, Open open) {
  RingOp op(*this, {"openat", open.path});
  io_uring_prep_openat(&op.sqe(), dirfd, open.path, open.flags | O_CLOEXEC, open.mode);
  return op;
}

RingOp Ring::close(UniqueFd fd) {
  RingOp op(*this, {.op = "close", .cancellable = false});
  io_uring_prep_close(&op.sqe(), fd.release());
  return op;
}

RingOp Ring::fsync(int fd, unsigned flags) {
  RingOp op(*this, {"fsync"});
  io_uring_prep_fsync(&op.sqe(), fd, flags);
  return op;
}

RingOp Ring::unlinkat(int dirfd, const char* path, int flags) {
  RingOp op(*this, {"unlinkat", path});
  io_uring_prep_unlinkat(&op.sqe(), dirfd, path, flags);
  return op;
}

RingOp Ring::mkdirat(int dirfd, const char* path, mode_t mode) {
  RingOp op(*this, {"mkdirat", path});
  io_uring_prep_mkdirat(&op.sqe(), dirfd, path, mode);
  return op;
}

RingOp Ring::renameat2(At source, At target, unsigned flags) {
  RingOp op(*this, {"renameat2", source.path});
  io_uring_prep_renameat(&op.sqe(), source.dirfd, source.path, target.dirfd, target.path, flags);
  return op;
}

RingOp Ring::splice(Splice splice) {
  RingOp op(*this, {"splice"});
  io_uring_prep_splice(&op.sqe(), splice.source, -1, splice.target, -1, splice.length,
                       splice.flags);
  return op;
}

Sleep Ring::sleep_until(Deadline deadline) {
  return Sleep(*this, deadline);
}

bool Sleep::suspend(PromiseBase& waiter) {
  cancelled_ = waiter.cancelled();
  if (cancelled_ || deadline_.passed()) return false;
  set(ring_->timers(), deadline_);
  park(waiter);
  return true;
}

Result<void> Sleep::resume() {
  if (cancelled_) return cancelled_error("sleep");
  return {};
}

void Sleep::on_cancel() noexcept {
  drop();
  cancelled_ = true;
  wake();
}

}  // namespace berth
