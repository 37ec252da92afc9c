// SPDX-License-Identifier: Apache-2.0
// The CRI log format, as pure functions: "2026-11-22T18:30:00.123456789Z stdout F line\n".
// KUBE: kubelet's reader joins records tagged P with what follows on the same stream up to an F.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/keeper/table.h"

namespace berth::keeper {

// One record adds this to its piece of a line: stamp, stream, tag, three blanks, newline.
constexpr std::size_t kRecordOverhead = 30 + 1 + 6 + 1 + 1 + 1 + 1;
constexpr std::size_t kStampBytes = 30;

// "2026-11-22T18:30:00.123456789Z", Unix time.
void format_stamp(std::int64_t time_ns, char (&out)[kStampBytes]) noexcept;

struct Formatted {
  std::size_t raw_bytes = 0;  // of the input, in the output
  std::size_t out_bytes = 0;
  bool partial = false;  // the last record is a P
};

struct FormatInput {
  std::span<const std::byte> raw;
  Stream stream = kStdout;
  std::int64_t time_ns = 0;
  bool partial = false;  // of the record before these bytes
};

// Puts as much of `raw` as fits into `out`, whole records only. Without memory: a line that goes on
// beyond `raw` is written at once as P. `out` must hold kRawBytesMax + kRecordOverhead at least, so
// that something always fits. The same input gives the same output: recovery depends on it.
Formatted format_records(const FormatInput& input, std::span<char> out) noexcept;
// The empty F that ends a partial line at the end of the stream.
Formatted format_end(const FormatInput& input, std::span<char> out) noexcept;

}  // namespace berth::keeper
