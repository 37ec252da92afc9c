// SPDX-License-Identifier: Apache-2.0
// The registries' configuration on disk, read again when a file has changed: every question looks
// at time, size and inode of what the last answer came from. Two front ends, one model:
//
//   1. hosts.toml of the registry's own directory       2. [[registry]] of registries.conf
//   3. hosts.toml of _default                           4. the registry itself
//
// The first that says something about the registry decides alone; only `blocked` of registries.conf
// always counts. A file that cannot be read is an error that names file, line and key. When there
// was a good one before, that stays in force and the error is logged once for each change: a slip
// of an editor does not stop a node, and nothing is ever asked without its configured TLS.
//
// Blocks (stat, and small files when they changed): call it on an offload thread. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/image/registry/hosts_toml.h"
#include "core/image/registry/image_name.h"
#include "core/image/registry/options.h"
#include "core/image/registry/registries_conf.h"
#include "core/image/registry/route.h"
#include "core/oci/reference.h"

namespace berth::image {

enum class Access { pull, push };

class RegistryConfig {
 public:
  // `log` is borrowed.
  RegistryConfig(const RegistryOptions& options, Log& log);

  // permission_denied: the registry is blocked. failed_precondition: the configuration cannot be
  // used.
  Result<RegistryRoute> route(const oci::Reference& reference, Access access);
  // core/image/registry/image_name.h, with the configuration of this moment.
  Result<std::vector<oci::Reference>> candidates(std::string_view text);
  ImageName image_name(std::string_view text);
  Result<oci::Reference> given_name(std::string_view text);

 private:
  struct ConfiguredHost {
    HostEntry entry;
    std::shared_ptr<const TlsOptions> tls;
  };
  // What one directory of hosts said, and from which state of which files.
  struct Hosts {
    std::string stamp;
    std::vector<std::string> files;
    std::vector<ConfiguredHost> hosts;
    bool known = false;  // `hosts` is good
  };
  struct Conf {
    std::string stamp;
    RegistriesConf conf;
    bool known = false;
  };

  // The directory that configures `domain`; empty: none. `is_default` is told of _default.
  std::string find_directory(const std::string& domain, bool& is_default) const;
  Result<const Hosts*> hosts_of(const std::string& directory);
  Status read_hosts(const std::string& directory, Hosts& hosts);
  Status read_certificates(const std::string& directory, Hosts& hosts);
  Status load_tls(const HostEntry& entry, Hosts& hosts, ConfiguredHost& host);
  Result<const RegistriesConf*> conf();

  std::string scheme_of(const std::string& host) const;
  RegistryEndpoint plain_endpoint(const oci::Reference& reference) const;
  RegistryRoute hosts_route(const Hosts& hosts, const oci::Reference& reference) const;
  RegistryRoute conf_route(const RegistriesConf::Registry& registry,
                           const oci::Reference& reference, Access access) const;
  void add_location(RegistryRoute& route, const std::string& location, bool insecure,
                    bool is_mirror) const;

  const RegistryOptions options_;
  Log& log_;
  std::mutex mutex_;
  std::map<std::string, Hosts> hosts_;  // by directory
  Conf conf_;
};

}  // namespace berth::image
