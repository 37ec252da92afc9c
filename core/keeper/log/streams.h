// SPDX-License-Identifier: Apache-2.0
// LogStreams: polls of the read ends of containers' pipes.
//
// Invariant: a poll of a stream is in the kernel exactly while its bit of LogFlow::armed is set,
// and it is removed before the stream is closed.
#pragma once

#include <cstdint>

#include "core/keeper/log/state.h"
#include "core/ring/raw.h"

namespace berth::keeper {

class LogStreams {
 public:
  LogStreams(LogState& log, RawRing& ring) : log_(log), ring_(ring) {}

  void arm(std::uint32_t entry, Stream stream) noexcept;
  // The poll has completed.
  void polled(std::uint32_t entry, Stream stream) noexcept {
    log_.flow(entry).armed &= static_cast<std::uint8_t>(~bit(stream));
  }
  void close(std::uint32_t entry, Stream stream) noexcept;

 private:
  void disarm(std::uint32_t entry, Stream stream) noexcept;

  LogState& log_;
  RawRing& ring_;
};

}  // namespace berth::keeper
