// SPDX-License-Identifier: Apache-2.0
// Takes the bytes of one download as they come. Borrowed by the download until its task has ended;
// after that nothing of it is called any more.
//
// write() and begin() are called on the thread that moves bytes for every download of the agent, so
// they copy and return: no disk, no waiting. A sink without room says so and the transfer pauses;
// such a sink must get room again without any other download having to go on, because several may
// share one connection and a paused one can hold it up.
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

  // Status and headers are known and the status is 2xx; once for each exchange. Sinks of
  // RegistrySession::get_blob are not told.
  virtual Status begin(const HttpResponse& response);
  // 1 byte to 64 KiB. `none`: the same bytes come again after resume(). An Error ends the download
  // with that Error.
  virtual Result<Took> write(std::string_view bytes) = 0;

  // There is room again. Any thread, any time; without effect when nothing is paused.
  void resume() noexcept;

  // For who moves the bytes: what resume() does from now on, on whatever thread it is called.
  void attach(std::function<void()> on_resume);
  // When this has returned, what was attached is not running and never will.
  void detach() noexcept;

 private:
  std::mutex mutex_;
  std::function<void()> on_resume_;
};

}  // namespace berth::image
