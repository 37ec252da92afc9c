// SPDX-License-Identifier: Apache-2.0
// Decodes the CRI log format, "2026-11-22T18:30:00.123456789Z stdout F text\n", as a stream: a line
// may have any length and is never buffered completely. P marks a piece whose line continues in the
// next entry of the stream.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::cli {

enum class Stream { out, err };

// Receives the decoded bytes.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual Status write(Stream stream, std::string_view bytes) = 0;
};

// Writes to stdout and stderr of this process, in the order of the log.
class StandardSink : public LogSink {
 public:
  Status write(Stream stream, std::string_view bytes) override;
};

class LogDecoder {
 public:
  // `sink` must outlive the decoder. With `timestamps` each line begins with the time of its entry.
  LogDecoder(LogSink& sink, bool timestamps) : sink_(sink), timestamps_(timestamps) {}

  // Decodes the next bytes of the file, which may end anywhere in an entry.
  Status feed(std::string_view bytes);

 private:
  Status feed_header(std::string_view* bytes);
  Status feed_content(std::string_view* bytes);
  Status begin_content(bool ended_by_space);
  Status emit(std::string_view bytes);
  Status flush();

  LogSink& sink_;
  bool timestamps_;
  bool in_content_ = false;
  bool full_ = true;  // the entry ends its line
  Stream stream_ = Stream::out;
  bool line_open_[2] = {false, false};  // per stream: the last entry was a piece
  std::string header_;
  std::string pending_;
  Stream pending_stream_ = Stream::out;
};

// The offset at which the last `lines` lines of the file begin; 0 when it has fewer. Reads the file
// once from its start and keeps one offset per requested line.
Result<off_t> tail_offset(int fd, std::size_t lines);

}  // namespace berth::cli
