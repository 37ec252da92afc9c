// SPDX-License-Identifier: Apache-2.0
// What the keeper writes into a submission's user_data: which kind of thing completed and for which
// entry. The entry's serial is part of it, so a late completion of an entry that was freed and used
// again is recognised and dropped.
#pragma once

#include <cstdint>

namespace berth::keeper {

enum class TokenKind : std::uint8_t {
  ignored = 0,
  listener,
  connection_in,
  connection_out,
  child_signal,
  stream,     // arg: Stream
  log_write,  // index: slot
  log_retry,
  log_closed,
  report,  // the launch report of an entry
  pidfd,   // an adopted process
  exit_retry,
  reexec_limit,
};

struct Token {
  TokenKind kind = TokenKind::ignored;
  std::uint8_t arg = 0;
  std::uint16_t serial = 0;
  std::uint32_t index = 0;

  std::uint64_t pack() const noexcept {
    return static_cast<std::uint64_t>(kind) << 56 | static_cast<std::uint64_t>(arg) << 48 |
           static_cast<std::uint64_t>(serial) << 32 | index;
  }
  static Token unpack(std::uint64_t data) noexcept {
    return {static_cast<TokenKind>(data >> 56), static_cast<std::uint8_t>(data >> 48),
            static_cast<std::uint16_t>(data >> 32), static_cast<std::uint32_t>(data)};
  }
};

}  // namespace berth::keeper
