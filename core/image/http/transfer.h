// SPDX-License-Identifier: Apache-2.0
// One exchange on one curl handle: what the handle is told, and what its callbacks do. The transfer
// thread only. Private to this room.
#pragma once

#include <curl/curl.h>

#include <optional>
#include <string>
#include <string_view>

#include "core/image/http/call.h"

namespace berth::image {

// A curl handle; used again, it resumes TLS sessions.
class CurlHandle {
 public:
  CurlHandle();
  ~CurlHandle();
  CurlHandle(const CurlHandle&) = delete;
  CurlHandle& operator=(const CurlHandle&) = delete;

  CURL* get() { return easy_; }
  // Nothing of the last request, least of all its secrets, is left. False: it cannot be used again.
  bool clean();
  // What curl says about a failure; curl's callers clear it.
  char detail[CURL_ERROR_SIZE] = "";

 private:
  CURL* easy_;
};

class HttpTransfer {
 public:
  // `request` and `sink` are borrowed. Sets the handle up; it is ready to be added.
  HttpTransfer(CurlHandle& handle, const HttpRequest& request, DownloadSink& sink,
               const std::string& user_agent);
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;
  ~HttpTransfer();

  // After a pause. An Error means that the transfer cannot go on and is to be removed.
  CURLcode unpause();
  bool paused() const { return paused_; }
  // Asked from time to time: whether it has been too slow for too long, and is to be removed and
  // finished. `excused`: the time since the last call does not count.
  bool too_slow(std::int64_t now_ns, bool excused);
  // Once, when curl is done with the handle.
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
  std::optional<Error> failure_;  // ours: the reason why a callback refused
  std::size_t headers_size_ = 0;
  std::size_t error_size_ = 0;
  std::uint64_t upload_offset_ = 0;
  std::int64_t window_start_ns_ = 0;  // of what too_slow looks at
  std::uint64_t window_bytes_ = 0;
  bool body_begun_ = false;
  bool paused_ = false;
};

}  // namespace berth::image
