// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange: request, response, and the settings of its connection. Redirects are not
// followed; the caller gets them as responses and decides.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/http/download_sink.h"

namespace berth::image {

// Settings of a connection. Requests with the same TlsOptions object may share one connection. The
// files are read when a connection is opened.
struct TlsOptions {
  std::string ca_pem;       // trusted in addition to the system's authorities
  std::string client_cert;  // path of a PEM file; empty: no client certificate
  std::string client_key;   // path; may be the same file
  bool skip_verify = false;
};

// The body of a request, from a file or from memory. Borrowed until the exchange has ended.
struct UploadSource {
  int fd = -1;
  std::uint64_t size = 0;
  std::atomic<std::uint64_t>* sent = nullptr;  // counts sent bytes; may be null
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string body;                  // of POST, PUT, PATCH without `upload`
  const UploadSource* upload = nullptr;
  std::shared_ptr<const TlsOptions> tls;  // null: the system's authorities
  std::string proxy;                      // URL; empty: none. Never from the environment
  std::int64_t timeout_ms = 0;            // of the whole exchange; 0: only the low-speed rule
  std::int64_t connect_timeout_ms = 5'000;
  // A transfer slower than low_speed for that long fails. Time during which any transfer is paused
  // does not count: they may share a connection.
  std::int64_t low_speed_bytes_per_s = 1'024;
  std::int64_t low_speed_s = 15;
  // How long the answer may take once all of `upload` is sent: the server verifies it.
  std::int64_t upload_answer_s = 600;
  bool fresh_connection = false;  // open a new one
  bool http1 = false;             // HTTP/2 is not offered
};

struct HttpResponse {
  long status = 0;
  // Of the final response, names in lower case. Of several headers with one name the last counts,
  // but WWW-Authenticate has all of them as one list.
  std::map<std::string, std::string> headers;
  std::string error_body;  // the beginning of the body when status is not 2xx

  const std::string* header(const std::string& lower_name) const;
};

}  // namespace berth::image
