// SPDX-License-Identifier: Apache-2.0
// What plugins print: the result of ADD, an error, and their versions. CNI specification, section
// 5. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "plugins/api/network.h"

namespace berth::networking::cni {

// The result in the form of `cni_version`, the configuration's: results before 1.0.0 have a member
// `version` in each address, later ones have none. A result without cniVersion has the
// configuration's. invalid_argument: no JSON object, or a version that is not supported.
Result<std::string> convert_result(std::string_view text, std::string_view cni_version);

// Of a converted result: the interfaces and addresses inside the pod. The addresses of `ips` are
// those of the interface `ifname`, and those that name no interface. invalid_argument names the
// member that is malformed.
Result<plugins::NetworkResult> read_result(std::string_view text, const std::string& ifname);

// The result with `to` in place of the namespace's path `from`: the path changes with a restart.
Result<std::string> with_sandbox(std::string_view text, const std::string& from,
                                 const std::string& to);

struct PluginError {
  std::int64_t code = 0;  // 0: the plugin printed no error
  std::string msg{};
  std::string details{};
};
PluginError read_error(std::string_view text);

// `supportedVersions` of a plugin's answer to VERSION; empty if there is none.
std::vector<std::string> read_versions(std::string_view text);

}  // namespace berth::networking::cni
