// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange as it is handed to the transfer thread and back. Redirects are not followed:
// they are responses, and whoever asked decides.
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

// Of a connection: connections with the same settings are shared. Paths are read when a connection
// is made.
struct TlsOptions {
  std::string ca_pem;       // trusted in addition to the system's authorities
  std::string client_cert;  // path of a PEM file; empty: no client certificate
  std::string client_key;   // path; may be the same file
  bool skip_verify = false;
};

// What is sent: from a file, or from memory. Borrowed until the exchange has ended.
struct UploadSource {
  int fd = -1;
  std::uint64_t size = 0;
  std::atomic<std::uint64_t>* sent = nullptr;  // counts what went out; may be null
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
  // A transfer slower than this for that long is given up, unless it or another one is paused: they
  // may share a connection.
  std::int64_t low_speed_bytes_per_s = 1'024;
  std::int64_t low_speed_s = 15;
  // But when all of `upload` is out, the answer may take so long: the other side works on it.
  std::int64_t upload_answer_s = 600;
  bool fresh_connection = false;  // none of the pool
  bool http1 = false;             // HTTP/2 is not offered
};

struct HttpResponse {
  long status = 0;
  // Names in lower case; of the final response. The last of several of a name, but all of
  // WWW-Authenticate, as one list.
  std::map<std::string, std::string> headers;
  std::string error_body;  // the beginning of the body when status is not 2xx

  const std::string* header(const std::string& lower_name) const;
};

}  // namespace berth::image
