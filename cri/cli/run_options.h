// SPDX-License-Identifier: Apache-2.0
// Parses the values of run's options, in docker's syntax. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "cri/cli/pod_config.h"

namespace berth::cli {

// "64m", "1g", "4096": bytes, in units of 1024. Zero and negative values are refused.
Result<std::int64_t> parse_memory(const std::string& text);
// "0.5": thousandths of a CPU.
Result<std::int64_t> parse_cpus(const std::string& text);
// "/host:/container" with ":ro" or ":rw"; both paths absolute.
Result<VolumeOption> parse_volume(const std::string& text);
// "KEY=VALUE", or "KEY" for the value in the environment of this process.
Result<EnvironmentOption> parse_environment(const std::string& text);
// "name", "uid", "uid:gid". The CRI takes groups by number only.
Result<UserOption> parse_user(const std::string& text);

}  // namespace berth::cli
