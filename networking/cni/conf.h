// SPDX-License-Identifier: Apache-2.0
// A network configuration of the CNI specification, section 1, and what each plugin is given of
// it, section 3. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::networking::cni {

constexpr std::size_t kPluginsMax = 64;

struct PluginConf {
  std::string type{};                       // the name of the program
  std::vector<std::string> capabilities{};  // those that are declared true
  std::string json{};                       // the object as configured
};

struct NetworkConf {
  std::string name{};
  std::string cni_version{};  // one that is supported
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<PluginConf> plugins{};  // at least one

  bool declares(std::string_view capability) const;
};

enum class ConfForm {
  single,  // `.conf` and `.json`: the object of one plugin
  list,    // `.conflist`
};

// "0.3.1", "0.4.0", "1.0.0" or "1.1.0".
bool is_supported_version(std::string_view version);
// CHECK exists since 0.4.0; GC and STATUS since 1.1.0.
bool has_check(std::string_view version);
bool has_gc_and_status(std::string_view version);

// invalid_argument names the member. Of `cniVersions` the newest that is supported counts.
Result<NetworkConf> parse_conf(ConfForm form, std::string_view text);
// The list form, which parse_conf reads back as the same configuration.
std::string conf_text(const NetworkConf& conf);

struct ExecutionConf {
  std::string runtime{};            // an object of all capability values; empty: none
  std::string previous{};           // prevResult, an object; empty: none
  std::string valid_attachments{};  // of GC, an array; empty: none
};
// The configuration on a plugin's standard input: its own object with the name and the version of
// the network, of `runtime` what the plugin declares, and without `capabilities`.
Result<std::string> execution_conf(const NetworkConf& conf, const PluginConf& plugin,
                                   const ExecutionConf& execution);

}  // namespace berth::networking::cni
