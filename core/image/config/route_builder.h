// SPDX-License-Identifier: Apache-2.0
// Turns configuration into the endpoints of a route. Pure. Private to this room.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/image/config/access.h"
#include "core/image/config/hosts_config.h"
#include "core/image/config/registries_conf.h"
#include "core/image/config/route.h"
#include "core/oci/reference.h"

namespace berth::image {

class RouteBuilder {
 public:
  // `insecure_hosts` is that of RegistryOptions.
  explicit RouteBuilder(std::vector<std::string> insecure_hosts)
      : insecure_hosts_(std::move(insecure_hosts)) {}

  // The registry of the reference, without any configuration.
  RegistryRoute plain(const oci::Reference& reference) const;
  // The hosts of a hosts.toml; not empty.
  RegistryRoute from_hosts(const std::vector<ConfiguredHost>& hosts,
                           const oci::Reference& reference) const;
  // A [[registry]] of registries.conf. Its mirrors and its `location` are for pulls only.
  RegistryRoute from_registry(const RegistriesConf::Registry& registry,
                              const oci::Reference& reference, Access access) const;

 private:
  std::string scheme_of(const std::string& host) const;
  RegistryEndpoint plain_endpoint(const oci::Reference& reference) const;
  void add_location(RegistryRoute& route, const std::string& location, bool insecure,
                    bool is_mirror) const;

  const std::vector<std::string> insecure_hosts_;
};

}  // namespace berth::image
