// SPDX-License-Identifier: Apache-2.0
// The options of berthd: flags, and a configuration file with the same names.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/log.h"
#include "core/base/result.h"
#include "core/store/layout.h"
#include "cri/handler_options.h"

namespace berth::cri {

struct Options {
  std::string listen;  // "unix:///run/berth/berth.sock"; empty: below the state directory
  std::string root_dir = std::string(store::kDefaultRootDir);
  std::string state_dir = std::string(store::kDefaultStateDir);
  std::string cgroup_parent = "berth";
  std::string keeper_binary;  // empty: berth-keeper beside this program
  std::vector<std::string> insecure_registries;
  std::string registry_config_dir;  // hosts.toml of each registry; empty: none
  std::string registries_conf;      // registries.conf version 2; empty: none
  LogLevel log_level = LogLevel::info;
  std::size_t namespace_pool = 8;        // namespace sets that are made ahead
  std::vector<HandlerOptions> handlers;  // at least one; the first is the default
  // Of handlers that name none; absent: cni while the directory holds a valid configuration, else
  // isolated.
  std::optional<std::string> network;
  std::string cni_conf_dir = "/etc/cni/net.d";
  std::vector<std::string> cni_bin_dirs{"/opt/cni/bin", "/usr/lib/cni"};  // in order
  std::int64_t pids_limit = 0;  // of handlers that name none; 0: no limit
  std::string seccomp_profile_root = "/var/lib/kubelet/seccomp";
};

// Errors are for a person at a terminal: one sentence that names the flag. `help` is set when the
// caller asked for the usage text or the version, which was printed.
Result<Options> parse_options(int argc, char** argv, bool* help);

}  // namespace berth::cri
