// SPDX-License-Identifier: Apache-2.0
// Where the content of one repository can be had: the model that hosts.toml, registries.conf and
// the built-in rules are turned into. Plain data, made anew for every pull.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/http/call.h"

namespace berth::image {

// One place, to be tried in its turn.
struct RegistryEndpoint {
  std::string base;  // "https://mirror:5000/v2": requests go to BASE/PATH/manifests/...
  std::string path;  // the repository's name there
  std::string ns;    // sent as the query `ns`: which registry this one stands in for; empty: none
  bool can_resolve = true;  // trusted to say what a tag means
  bool can_pull = true;
  bool can_push = true;
  bool is_mirror = false;  // not the registry that the image's name names
  // Only when the endpoint before it could not be spoken to at all.
  bool is_fallback = false;
  std::vector<std::string> headers;       // "Name: value", sent to this origin alone; may be secret
  std::shared_ptr<const TlsOptions> tls;  // null: the system's authorities
  std::int64_t connect_timeout_ms = 0;    // 0: the agent's default
};

struct RegistryRoute {
  std::vector<RegistryEndpoint> endpoints;  // in the order to try
};

}  // namespace berth::image
