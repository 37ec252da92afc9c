// SPDX-License-Identifier: Apache-2.0
#include "cri/rpc/metered_sockets.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <shared_mutex>
#include <span>

#include "core/base/check.h"
#include "core/base/units.h"

namespace berth::rpc {
namespace {

// Global, because recvmsg has no argument for it. Readers hold the lock while they use the object.
std::shared_mutex metering_lock;
MeteredSockets* metering = nullptr;

using Recvmsg = ssize_t (*)(int, msghdr*, int);

// KERNEL 4.12: SO_COOKIE is the same for the life of a socket and never given to another.
// Proof: tests/kernel/socket_cookie_test.cc.
std::uint64_t cookie_of(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) != 0) return 0;
  return cookie;
}

}  // namespace

MeteredSockets::MeteredSockets(std::function<void(const std::string&)> on_refused)
    : on_refused_(std::move(on_refused)) {
  const std::unique_lock<std::shared_mutex> lock(metering_lock);
  CHECK(metering == nullptr);
  metering = this;
}

MeteredSockets::~MeteredSockets() {
  const std::unique_lock<std::shared_mutex> lock(metering_lock);
  metering = nullptr;
}

MeteredSockets::Connection& MeteredSockets::connection_of(int socket) {
  const std::uint64_t cookie = cookie_of(socket);
  const auto known = connections_.find(socket);
  if (known != connections_.end() && known->second.cookie == cookie) return known->second;
  connections_.erase(socket);
  return connections_.emplace(socket, Connection{cookie, Http2Meter(shared_)}).first->second;
}

void MeteredSockets::note_refused(const char* why, std::int64_t now_ns) {
  ++unreported_;
  if (!on_refused_) return;
  if (reported_at_ns_ != 0 && now_ns - reported_at_ns_ < kNanosecondsPerSecond) return;
  on_refused_("closed " + std::to_string(unreported_) + " connections, the last one for " + why);
  reported_at_ns_ = now_ns;
  unreported_ = 0;
}

bool MeteredSockets::admit(int socket, const msghdr& message, std::size_t size) {
  const std::int64_t now_ns = monotonic_now_ns();
  const std::lock_guard<std::mutex> lock(mutex_);
  Connection& connection = connection_of(socket);
  for (std::size_t i = 0; i < message.msg_iovlen && size > 0; ++i) {
    const iovec& part = message.msg_iov[i];
    const std::size_t count = std::min(size, part.iov_len);
    const std::span bytes(static_cast<const unsigned char*>(part.iov_base), count);
    if (const char* why = connection.meter.take(bytes, now_ns)) {
      note_refused(why, now_ns);
      return false;
    }
    size -= count;
  }
  return true;
}

void MeteredSockets::call_taken() {
  const std::lock_guard<std::mutex> lock(mutex_);
  shared_.give_back(Http2Meter::kGivenBackWhenTaken);
}

}  // namespace berth::rpc

// gRPC 1.51 reads its connections with recvmsg and no flags. No other code of the program does.
extern "C" ssize_t recvmsg(int socket, msghdr* message, int flags) {
  // The next definition: libc's, or that of a sanitizer.
  static const auto next = reinterpret_cast<berth::rpc::Recvmsg>(::dlsym(RTLD_NEXT, "recvmsg"));
  const ssize_t size = next(socket, message, flags);
  if (size <= 0 || flags != 0) return size;
  const std::shared_lock<std::shared_mutex> lock(berth::rpc::metering_lock);
  if (berth::rpc::metering == nullptr) return size;
  if (berth::rpc::metering->admit(socket, *message, static_cast<std::size_t>(size))) return size;
  errno = ECONNRESET;
  return -1;
}
