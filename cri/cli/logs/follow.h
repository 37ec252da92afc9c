// SPDX-License-Identifier: Apache-2.0
// Reads a container's log file to its end and then as it grows. When the file was rotated, the old
// file is read to its end before the new one.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "cri/cli/logs/cri_log.h"

namespace berth::cli {

class LogFollow {
 public:
  // not_found: there is no such file. `sink` must outlive the object.
  static Result<LogFollow> open(std::string path, LogSink& sink, bool timestamps);

  // Skips all but the last `lines` lines. Call it before the first drain().
  Status skip_to_tail(std::size_t lines);
  // Decodes all that was written since the last call. True if there was anything.
  Result<bool> drain();
  // An inotify descriptor, readable when the log's directory changed. drain() reads the events.
  int wait_fd() const { return notify_.get(); }

 private:
  LogFollow(std::string path, LogSink& sink, bool timestamps)
      : path_(std::move(path)), decoder_(sink, timestamps) {}
  Result<bool> drain_file();
  bool was_replaced() const;

  std::string path_;
  LogDecoder decoder_;
  UniqueFd file_;
  UniqueFd notify_;
};

}  // namespace berth::cli
