// SPDX-License-Identifier: Apache-2.0
// Receives the bytes of one download. The download borrows it until its task has ended and calls
// nothing of it afterwards.
//
// write() and begin() run on the thread that serves every download of the agent, so they copy and
// return: no disk, no waiting. A full sink returns `none` and the transfer pauses. It must become
// free without progress of another download: several may share one connection, and a paused
// transfer can stall the others.
#pragma once

#include <functional>
#include <mutex>
#include <string_view>

#include "core/base/result.h"

namespace berth::image {

struct HttpResponse;

class DownloadSink {
 public:
  enum class Took { all, none };

  DownloadSink() = default;
  DownloadSink(const DownloadSink&) = delete;
  DownloadSink& operator=(const DownloadSink&) = delete;
  virtual ~DownloadSink() = default;

  // Called once for each exchange, when status and headers are known and the status is 2xx. Not
  // called for sinks of RegistrySession::get_blob.
  virtual Status begin(const HttpResponse& response);
  // `size` is 1 byte to 64 KiB. `none`: write() is called again with the same bytes after resume().
  // An Error ends the download with that Error.
  virtual Result<Took> write(std::string_view bytes) = 0;

  // The sink has room again. Any thread, any time; no effect when nothing is paused.
  void resume() noexcept;

  // For the transfer thread: the function that resume() calls from now on, on the caller's thread.
  void attach(std::function<void()> on_resume);
  // After this returns, the attached function does not run and is never called again.
  void detach() noexcept;

 private:
  std::mutex mutex_;
  std::function<void()> on_resume_;
};

}  // namespace berth::image
