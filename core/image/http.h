// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange. What an exchange is (HttpRequest, BodySink, HttpResponse) is apart from who
// carries it (HttpTransport): the registry logic above decides on status codes only, so the
// blocking curl transport here can be replaced by one that awaits curl's multi interface on the
// ring.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/image/http_call.h"
#include "core/image/registry_options.h"
#include "core/image/url.h"

namespace berth::image {

// Takes the body of a 2xx response. An Error ends the exchange with that Error.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // Bytes already there: the next request asks for the rest.
  virtual std::uint64_t offset() const { return 0; }
  // Those bytes are no good: begin again at 0.
  virtual Status restart() { return {}; }
  // The status and headers are known; the body follows.
  virtual Status begin(const HttpResponse& response) = 0;
  virtual Status write(const char* bytes, std::size_t size) = 0;
};

// Thread-safe. Redirects are not followed: they are responses.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  // Errors: unavailable (could not connect, cut off, too slow), deadline_exceeded (timeout_ms),
  // cancelled
  // (`stop`), or the sink's. Blocks.
  virtual Result<HttpResponse> exchange(const HttpRequest& request, BodySink& sink,
                                        std::stop_token stop) = 0;
};

// By libcurl's easy interface; keeps handles, and so connections, for later requests. SIGPIPE must
// be ignored in the process.
class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(RegistryOptions options);
  ~CurlTransport() override;
  Result<HttpResponse> exchange(const HttpRequest& request, BodySink& sink,
                                std::stop_token stop) override;

 private:
  struct Handle;
  std::unique_ptr<Handle> take_handle();

  RegistryOptions options_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

}  // namespace berth::image
