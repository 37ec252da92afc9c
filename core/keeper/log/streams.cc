// SPDX-License-Identifier: Apache-2.0
#include "core/keeper/log/streams.h"

#include <poll.h>

#include <utility>

#include "core/base/check.h"
#include "core/base/unique_fd.h"
#include "core/keeper/token.h"

namespace berth::keeper {
namespace {

std::uint64_t stream_token(const Entry& entry, std::uint32_t index, Stream stream) noexcept {
  return Token{TokenKind::stream, stream, static_cast<std::uint16_t>(entry.serial), index}.pack();
}

}  // namespace

void LogStreams::arm(std::uint32_t entry, Stream stream) noexcept {
  LogFlow& state = log_.flow(entry);
  const Entry& process = log_.table().at(entry);
  if ((state.armed & bit(stream)) != 0) return;
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_add(sqe, process.stream[stream], POLLIN);
  sqe->user_data = stream_token(process, entry, stream);
  state.armed |= bit(stream);
}

void LogStreams::disarm(std::uint32_t entry, Stream stream) noexcept {
  LogFlow& state = log_.flow(entry);
  if ((state.armed & bit(stream)) == 0) return;
  state.armed &= static_cast<std::uint8_t>(~bit(stream));
  io_uring_sqe* sqe = ring_.get_sqe();
  CHECK(sqe != nullptr);
  io_uring_prep_poll_remove(sqe, stream_token(log_.table().at(entry), entry, stream));
  sqe->user_data = Token{}.pack();
}

void LogStreams::close(std::uint32_t entry, Stream stream) noexcept {
  disarm(entry, stream);
  LogFlow& state = log_.flow(entry);
  state.ready &= static_cast<std::uint8_t>(~bit(stream));
  UniqueFd closed(std::exchange(log_.table().at(entry).stream[stream], -1));
}

}  // namespace berth::keeper
