// SPDX-License-Identifier: Apache-2.0
// registries.conf, version 2 (containers-registries.conf(5)), and the files of its drop-in
// directory `registries.conf.d`: which registries serve an image's name, and what a short name
// means.
//
//   unqualified-search-registries = ["registry.example"]
//   short-name-mode = "enforcing"
//
//   [[registry]]
//   prefix = "registry.example/team"      # or "*.example"; default: the location
//   location = "internal.example/team"
//   insecure = false
//   blocked = false
//   mirror-by-digest-only = false
//
//   [[registry.mirror]]
//   location = "mirror.example/team"
//   insecure = false
//   pull-from-mirror = "all"              # or "digest-only", "tag-only"
//
//   [aliases]
//   "tool" = "registry.example/team/tool"
//
// Version 1 of the format and credential helpers are errors that name the key. There is no user to
// ask, so "enforcing" refuses a short name that more than one registry could serve; the other modes
// try the registries in order.
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
    std::string location;  // empty for a prefix with a wildcard: the name does not change
    bool insecure = false;
    bool blocked = false;
    std::vector<Mirror> mirrors;
    std::string file;  // for error texts
  };

  std::vector<Registry> registries;
  // Nullopt: no file has the key.
  std::optional<std::vector<std::string>> search_registries;
  ShortNames short_names = ShortNames::permissive;
  std::map<std::string, std::string> aliases;
};

// Adds the content of one file, `text`, to `conf`. It overrides earlier files. invalid_argument
// names file, line and key; `conf` may then be partly changed.
Status merge_registries_conf(std::string_view text, const std::string& file, RegistriesConf& conf);

// The [[registry]] whose prefix is the longest for this reference; null: none.
const RegistriesConf::Registry* find_registry(const RegistriesConf& conf,
                                              const oci::Reference& reference);

// "host/path" of the reference below `location`, for a reference that `prefix` matches.
std::string relocated(const oci::Reference& reference, const std::string& prefix,
                      const std::string& location);

}  // namespace berth::image
