// SPDX-License-Identifier: Apache-2.0
// Reads a container's log file to its end and waits for more, across rotation: when another file
// has taken the name, the old one is read to its end first.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "cri/cli/cri_log.h"

namespace berth::cli {

class LogFollow {
 public:
  // Fails with not_found when there is no such file. `sink` outlives this.
  static Result<LogFollow> open(std::string path, LogSink& sink, bool timestamps);

  // Begin at the last `lines` lines. Before the first drain().
  Status skip_to_tail(std::size_t lines);
  // Decodes all there is now. True when there was anything.
  Result<bool> drain();
  // An inotify fd, readable when the log's directory changed. drain() takes the events.
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
