// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/agent_connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/keeper/poll.h"

namespace berth::keeper {

void AgentConnection::open(UniqueFd socket) noexcept {
  socket_ = std::move(socket);
  watch_requests();
}

void AgentConnection::close() noexcept {
  // Wakes the polls that the kernel holds on it, so that the descriptor really goes away.
  ::shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
  ++serial_;
  stalled_out_ = reading_ = greeted_ = false;
  stalled_.reset();
}

bool AgentConnection::on_readable(Token token) noexcept {
  if (token.serial != serial_) return false;
  reading_ = false;
  return true;
}

void AgentConnection::on_writable(Token token) noexcept {
  if (token.serial == serial_) stalled_out_ = false;
}

void AgentConnection::watch_requests() noexcept {
  if (!socket_.valid() || reading_) return;
  reading_ = true;
  watch(ring_, socket_.get(), POLLIN, {TokenKind::connection_in, 0, serial_, 0});
}

bool AgentConnection::tell(const Header& header, std::span<const std::byte> body,
                           std::span<const int> fds) noexcept {
  if (!socket_.valid()) return true;
  if (stalled_out_) return false;
  Status sent = send(socket_.get(), header, body, fds);
  if (sent.ok()) return true;
  // Its end is at hand: the poll for requests will report it.
  if (sent.error().sys_errno != EAGAIN) return true;
  stalled_out_ = true;
  watch(ring_, socket_.get(), POLLOUT, {TokenKind::connection_out, 0, serial_, 0});
  return false;
}

void AgentConnection::answer(std::uint64_t request, MessageType type) noexcept {
  const Header header{.type = type, .request = request};
  if (!tell(header, {}, {})) stalled_ = Stalled{header, {}, false};
}

void AgentConnection::refuse(std::uint64_t request, MessageType type, int sys_errno,
                             const char* step, std::string_view text) noexcept {
  const Header header{.type = type, .request = request, .sys_errno = sys_errno};
  Refusal body;
  std::strncpy(body.step, step, sizeof body.step - 1);
  std::memcpy(body.text, text.data(), std::min(text.size(), sizeof body.text - 1));
  if (!tell(header, std::as_bytes(std::span(&body, 1)), {})) stalled_ = Stalled{header, body, true};
}

bool AgentConnection::flush() noexcept {
  if (stalled_out_) return false;
  if (!stalled_) return true;
  const Stalled waiting = *stalled_;
  const auto body = std::as_bytes(std::span(&waiting.body, 1));
  if (!tell(waiting.header, waiting.has_body ? body : body.first(0), {})) return false;
  stalled_.reset();
  return true;
}

}  // namespace berth::keeper
