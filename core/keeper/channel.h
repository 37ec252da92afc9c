// SPDX-License-Identifier: Apache-2.0
// One message in or out of the keeper's socket. Used by both ends; allocates nothing and never
// blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/keeper/protocol.h"

namespace berth::keeper {

// A received message owns its descriptors: those that were not taken are closed when it is
// overwritten or destroyed.
class Incoming {
 public:
  Incoming() = default;
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;
  ~Incoming() { close_fds(); }

  const Header& header() const noexcept { return header_; }
  int fd_count() const noexcept { return fd_count_; }
  // The body as T, or nullptr when its size is not T's.
  template <Body T>
  const T* body() const noexcept {
    return header_.body_bytes == sizeof(T) ? reinterpret_cast<const T*>(body_) : nullptr;
  }
  std::span<const std::byte> bytes() const noexcept { return {body_, header_.body_bytes}; }
  // Gives away descriptor `index`; not valid when there is none.
  UniqueFd take_fd(int index) noexcept;
  // Borrowed; -1 when there is none.
  int peek_fd(int index) const noexcept;
  std::span<const int> fds() const noexcept { return {fds_, static_cast<size_t>(fd_count_)}; }

  // Reads one message from `socket`. False: the peer is gone. Errors: resource_exhausted with
  // EAGAIN when nothing is there; invalid_argument for other bytes than a message of this protocol,
  // failed_precondition for another version (the header is then readable).
  Result<bool> receive(int socket) noexcept;
  void close_fds() noexcept;

 private:
  Header header_;
  alignas(8) std::byte body_[kMessageBytesMax];
  int fds_[kMessageFdsMax];
  int fd_count_ = 0;
};

// Sends header, body and descriptors as one datagram. EAGAIN: the peer does not read.
Status send(int socket, Header header, std::span<const std::byte> body, std::span<const int> fds);

template <Body T>
Status send(int socket, Header header, const T& body, std::span<const int> fds = {}) {
  return send(socket, header, std::as_bytes(std::span(&body, 1)), fds);
}

}  // namespace berth::keeper
