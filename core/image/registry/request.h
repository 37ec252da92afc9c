// SPDX-License-Identifier: Apache-2.0
// One request about a repository, independent of the endpoint that it is sent to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/image/http/call.h"

namespace berth::image {

struct RegistryRequest {
  std::string method = "GET";
  std::string rest;  // the URL after the repository: "/manifests/1"
  std::vector<std::string> headers;
  bool is_document = true;  // small: document_timeout_ms limits the whole exchange
  bool resolves = false;    // a tag is resolved to a digest
  std::string digest;       // of a blob
  unsigned attempts_max = 1;
  bool patient = true;        // no further endpoint can be asked
  bool has_fallback = false;  // the next endpoint is the same host without TLS
  // For the attempts after a broken one: open a new connection, and without HTTP/2 after a protocol
  // error.
  bool fresh_connection = false;
  bool http1 = false;
  // Of pushes only.
  std::string url;  // instead of `rest`
  std::string body;
  const UploadSource* upload = nullptr;
};

}  // namespace berth::image
