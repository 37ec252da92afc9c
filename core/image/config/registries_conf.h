// SPDX-License-Identifier: Apache-2.0
// registries.conf, version 2 (containers-registries.conf(5)), with what is in its drop-in directory
// `registries.conf.d`: which registries an image's name leads to, and what a short name means.
//
//   unqualified-search-registries = ["registry.example"]
//   short-name-mode = "enforcing"
//   [[registry]]
//   prefix = "registry.example/team"     or "*.example"; without it, the location
//   location = "internal.example/team"
//   insecure, blocked, mirror-by-digest-only
//   [[registry.mirror]]
//   location = "mirror.example/team"     insecure, pull-from-mirror = "all" "digest-only"
//   "tag-only" [aliases] "tool" = "registry.example/team/tool"
//
// Version 1 of the format and credential helpers are refused by name, not passed over. Nobody can
// be asked, so "enforcing" refuses a short name that more than one registry could serve, and the
// other modes try the registries in order.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/oci/reference.h"

namespace berth::image {

struct RegistriesConf {
  enum class When { always, by_digest, by_tag };
  enum class ShortNames { enforcing, permissive, disabled };
  struct Mirror {
    std::string location;
    bool insecure = false;
    When when = When::always;
  };
  struct Registry {
    std::string prefix;
    std::string location;  // may be empty for a prefix with a wildcard: the name as it is
    bool insecure = false;
    bool blocked = false;
    std::vector<Mirror> mirrors;
    std::string file;  // for texts
  };

  std::vector<Registry> registries;
  // Absent: the file does not say.
  std::optional<std::vector<std::string>> search_registries;
  ShortNames short_names = ShortNames::permissive;
  std::map<std::string, std::string> aliases;
};

// Adds what `text` says to `conf`, over what earlier files said. invalid_argument names file, line
// and key; `conf` may then be half changed.
Status merge_registries_conf(std::string_view text, const std::string& file, RegistriesConf& conf);

// The [[registry]] whose prefix is the longest for this reference; null: none.
const RegistriesConf::Registry* find_registry(const RegistriesConf& conf,
                                              const oci::Reference& reference);

// "host/path" of the reference below `location`, for a reference that `prefix` matches.
std::string relocated(const oci::Reference& reference, const std::string& prefix,
                      const std::string& location);

}  // namespace berth::image
