// SPDX-License-Identifier: Apache-2.0
// AgentConnection: the socket to the one agent. A new agent replaces the one before.
//
// Invariant: at most one message waits because the agent does not read (`stalled_`), and while one
// does nothing more is read from the socket: a peer that does not read gets no request served.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/base/unique_fd.h"
#include "core/keeper/channel.h"
#include "core/keeper/token.h"
#include "core/ring/raw.h"

namespace berth::keeper {

class AgentConnection {
 public:
  explicit AgentConnection(RawRing& ring) : ring_(ring) {}

  bool is_open() const noexcept { return socket_.valid(); }
  int fd() const noexcept { return socket_.get(); }
  // There is none open.
  void open(UniqueFd socket) noexcept;
  void close() noexcept;

  // Whether this agent has said hello.
  bool greeted() const noexcept { return greeted_; }
  void set_greeted() noexcept { greeted_ = true; }

  // True: a completion of this connection's.
  bool on_readable(Token token) noexcept;
  void on_writable(Token token) noexcept;
  // Polls for requests unless it does already.
  void watch_requests() noexcept;
  // Into incoming(). See Incoming::receive.
  Result<bool> receive() noexcept { return incoming_.receive(socket_.get()); }
  Incoming& incoming() noexcept { return incoming_; }

  // A message can be sent now.
  bool is_writable() const noexcept { return !stalled_out_ && !stalled_; }
  // False: the agent does not read; the caller tries again when it does. True without a connection.
  bool tell(const Header& header, std::span<const std::byte> body,
            std::span<const int> fds) noexcept;
  template <Body T>
  bool tell(MessageType type, std::uint64_t request, const T& body, std::span<const int> fds = {}) {
    return tell(Header{.type = type, .request = request}, std::as_bytes(std::span(&body, 1)), fds);
  }
  // The answers of requests that are done at once; kept when the agent does not read.
  void answer(std::uint64_t request, MessageType type) noexcept;
  void refuse(std::uint64_t request, MessageType type, int sys_errno, const char* step,
              std::string_view text = {}) noexcept;
  // Sends the answer that was kept. False: the agent does not read.
  bool flush() noexcept;

 private:
  struct Stalled {
    Header header;
    Refusal body;
    bool has_body = false;
  };

  RawRing& ring_;
  UniqueFd socket_;
  Incoming incoming_;
  std::uint16_t serial_ = 0;
  bool stalled_out_ = false;  // POLLOUT will tell
  bool reading_ = false;      // a poll for requests is in the kernel
  bool greeted_ = false;
  std::optional<Stalled> stalled_;
};

}  // namespace berth::keeper
