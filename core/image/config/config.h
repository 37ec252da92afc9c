// SPDX-License-Identifier: Apache-2.0
// The configuration of registries in force, from two kinds of files (`hosts_config`,
// `registries_config`), which are read again after a change. Of these the first that configures the
// registry decides alone:
//
//   1. hosts.toml in the registry's own directory
//   2. [[registry]] of registries.conf
//   3. hosts.toml in the directory _default
//   4. no configuration: the registry itself
//
// Only `blocked` of registries.conf always applies. A file that cannot be read is an error that
// names file, line and key. If an earlier reading succeeded, that one stays in force and the error
// is logged once for each change: an editing mistake does not stop a node, and no request is sent
// without its configured TLS.
//
// Blocks (stat, and small files after a change): call it on an offload thread. Thread-safe.
#pragma once

#include <mutex>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/image/config/access.h"
#include "core/image/config/hosts_config.h"
#include "core/image/config/image_name.h"
#include "core/image/config/options.h"
#include "core/image/config/registries_config.h"
#include "core/image/config/route.h"
#include "core/image/config/route_builder.h"
#include "core/oci/reference.h"

namespace berth::image {

class RegistryConfig {
 public:
  // `log` is borrowed.
  RegistryConfig(const RegistryOptions& options, Log& log)
      : hosts_(options.config_dir, log),
        registries_(options.registries_conf, log),
        routes_(options.insecure_hosts) {}

  // permission_denied: the registry is blocked. failed_precondition: the configuration cannot be
  // used.
  Result<RegistryRoute> route(const oci::Reference& reference, Access access);
  // The functions of image_name.h with the configuration in force.
  Result<std::vector<oci::Reference>> candidates(std::string_view text);
  ImageName image_name(std::string_view text);
  Result<oci::Reference> given_name(std::string_view text);

 private:
  std::mutex mutex_;  // guards both caches
  HostsConfig hosts_;
  RegistriesConfig registries_;
  const RouteBuilder routes_;
};

}  // namespace berth::image
