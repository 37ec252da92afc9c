// SPDX-License-Identifier: Apache-2.0
// One line per event on stderr: "2026-11-22T18:30:00.123456Z warn keeper: text key=value". The
// journal or a supervisor keeps them. A function logs or returns an error, never both.
#pragma once

#include <string>
#include <string_view>

namespace berth {

enum class LogLevel : int { debug = 0, info = 1, warn = 2, error = 3 };

// Made once by main and passed to the parts that log. Thread-safe: each line is one write(2), so
// lines never mix. A line that cannot be written is dropped: logging never blocks or fails the
// work.
class Log {
 public:
  explicit Log(LogLevel least, int fd = 2) noexcept : fd_(fd), least_(least) {}

  void debug(std::string_view room, std::string_view text) { write(LogLevel::debug, room, text); }
  void info(std::string_view room, std::string_view text) { write(LogLevel::info, room, text); }
  void warn(std::string_view room, std::string_view text) { write(LogLevel::warn, room, text); }
  void error(std::string_view room, std::string_view text) { write(LogLevel::error, room, text); }
  bool enabled(LogLevel level) const noexcept { return level >= least_; }

 private:
  void write(LogLevel level, std::string_view room, std::string_view text);

  int fd_;
  LogLevel least_;
};

}  // namespace berth
