// SPDX-License-Identifier: Apache-2.0
// One exchange on one curl handle: its options and its callbacks. The transfer thread only. Private
// to this room.
#pragma once

#include <curl/curl.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/image/http/call.h"

namespace berth::image {

// A curl handle. A handle that is used again resumes TLS sessions.
class CurlHandle {
 public:
  CurlHandle();
  ~CurlHandle();
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;

  CURL* get() { return easy_; }
  // Removes everything of the last request, above all its secrets. False: it cannot be used again.
  bool clean();
  // curl's text about a failure. Clear it before a call.
  char detail[CURL_ERROR_SIZE] = "";

 private:
  CURL* easy_;
};

class HttpTransfer {
 public:
  // Sets the handle up, so that it can be added. `request` and `sink` are borrowed.
  HttpTransfer(CurlHandle& handle, const HttpRequest& request, DownloadSink& sink,
               const std::string& user_agent);
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;
  ~HttpTransfer();

  // Continues after a pause. After an Error the transfer must be removed.
  CURLcode unpause();
  bool paused() const { return paused_; }
  // Call it regularly. True: the transfer has been too slow for too long and must be removed and
  // finished. `excused`: the time since the last call does not count.
  bool too_slow(std::int64_t now_ns, bool excused);
  // Call once, when curl is done with the handle.
  Result<HttpResponse> finish(CURLcode code);

 private:
  static std::size_t on_header(char* bytes, std::size_t, std::size_t size, void* self);
  static std::size_t on_body(char* bytes, std::size_t, std::size_t size, void* self);
  static std::size_t on_upload(char* out, std::size_t, std::size_t size, void* self);
  static int on_rewind(void* self, curl_off_t offset, int origin);

  void aim();
  void aim_method();
  void aim_tls();
  void add_header(const std::string& line);
  bool take_header(std::string_view line);
  bool begin_body();
  bool take_error_body(std::string_view bytes);

  CurlHandle& handle_;
  const HttpRequest& request_;
  DownloadSink& sink_;
  curl_slist* headers_ = nullptr;
  HttpResponse response_;
  std::optional<Error> failure_;  // why a callback refused
  std::size_t headers_size_ = 0;
  std::size_t error_size_ = 0;
  std::uint64_t upload_offset_ = 0;
  std::int64_t window_start_ns_ = 0;  // of the interval that too_slow checks
  std::uint64_t window_bytes_ = 0;
  bool body_begun_ = false;
  bool paused_ = false;
};

}  // namespace berth::image
