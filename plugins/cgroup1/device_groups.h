// SPDX-License-Identifier: Apache-2.0
// The v1 devices controller. Containers share `<parent>/default`, which allows kDefaultDevices and
// nothing else; only one that is privileged or wants further devices has a group,
// `<parent>/berth-pod. container`. So whether a container has its own is what says which one it is
// in.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"

namespace berth::plugins {

constexpr const char* kSharedDeviceGroup = "default";

// Makes `<parent>/default` and gives it its rules if it has not exactly those.
Status make_shared_device_group(const sys::Cgroup& devices, const std::string& parent);
// `rules` are checked already. Privileged: everything is allowed.
Status make_own_device_group(const sys::Cgroup& devices, const std::string& path, bool privileged,
                             const std::vector<std::string>& rules);

}  // namespace berth::plugins
