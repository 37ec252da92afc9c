// SPDX-License-Identifier: Apache-2.0
// The CRI log format, "2026-11-22T18:30:00.123456789Z stdout F text\n", decoded as a stream: a line
// may be of any length and is never held whole. P marks a piece whose line goes on in the next
// entry.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::cli {

enum class Stream { out, err };

// Where decoded bytes go.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual Status write(Stream stream, std::string_view bytes) = 0;
};

// To this process's stdout and stderr, in the order of the log.
class StandardSink : public LogSink {
 public:
  Status write(Stream stream, std::string_view bytes) override;
};

class LogDecoder {
 public:
  // `sink` outlives the decoder. With `timestamps` each line begins with its entry's time.
  LogDecoder(LogSink& sink, bool timestamps) : sink_(sink), timestamps_(timestamps) {}

  // The next bytes of the file, cut anywhere.
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
  bool line_open_[2] = {false, false};  // by stream: the last entry was a piece
  std::string header_;
  std::string pending_;
  Stream pending_stream_ = Stream::out;
};

// Where the last `lines` lines of the file begin; 0 when it has fewer. Reads the file once from its
// start and keeps one offset per line asked for.
Result<off_t> tail_offset(int fd, std::size_t lines);

}  // namespace berth::cli
