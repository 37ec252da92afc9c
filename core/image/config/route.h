// SPDX-License-Identifier: Apache-2.0
// The endpoints that serve one repository: the result of hosts.toml, registries.conf and the
// built-in rules. Plain data, made for every pull.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/http/call.h"

namespace berth::image {

// One endpoint.
struct RegistryEndpoint {
  std::string base;  // "https://mirror:5000/v2": requests go to BASE/PATH/manifests/...
  std::string path;  // the repository's name there
  std::string ns;    // sent as the query `ns`: the registry that this one mirrors; empty: none
  bool can_resolve = true;  // may resolve a tag
  bool can_pull = true;
  bool can_push = true;
  bool is_mirror = false;  // not the registry of the image's name
  // Asked only if no connection to the endpoint before it was possible.
  bool is_fallback = false;
  std::vector<std::string> headers;       // "Name: value", sent to this origin alone; may be secret
  std::shared_ptr<const TlsOptions> tls;  // null: the system's authorities
  std::int64_t connect_timeout_ms = 0;    // 0: the agent's default
};

struct RegistryRoute {
  std::vector<RegistryEndpoint> endpoints;  // in the order to try
};

}  // namespace berth::image
