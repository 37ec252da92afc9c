// SPDX-License-Identifier: Apache-2.0
// The hosts.toml files of a configuration directory, read again when one has changed. Each
// registry's directory is cached with the state of the files that its hosts came from: hosts.toml
// and every certificate that it names. After a failed read the hosts read before stay in force, and
// each change is logged once. Blocks; not thread-safe. Private to this room.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/image/config/hosts_toml.h"
#include "core/image/http/call.h"

namespace berth::image {

struct ConfiguredHost {
  HostEntry entry;
  std::shared_ptr<const TlsOptions> tls;
};

class HostsConfig {
 public:
  // `root` is RegistryOptions::config_dir; `log` is borrowed.
  HostsConfig(std::string root, Log& log) : root_(std::move(root)), log_(log) {}

  struct Directory {
    std::string path;         // empty: no directory configures the registry
    bool is_default = false;  // it is _default, for every registry without its own directory
  };
  Directory find_directory(const std::string& domain) const;

  // Empty: the directory configures nothing. failed_precondition: a file cannot be used, and there
  // is no earlier reading. The pointer is good until the next call.
  Result<const std::vector<ConfiguredHost>*> hosts_of(const std::string& directory);

 private:
  struct Reading {
    std::string stamp;
    std::vector<std::string> files;  // certificates
    std::vector<ConfiguredHost> hosts;
    bool is_valid = false;  // `hosts` has been read without an error
  };

  static Status read(const std::string& directory, Reading& reading);
  static Status read_certificates(const std::string& directory, Reading& reading);
  static Status load_tls(const HostEntry& entry, Reading& reading, ConfiguredHost& host);

  const std::string root_;
  Log& log_;
  std::map<std::string, Reading> readings_;  // by directory
};

}  // namespace berth::image
