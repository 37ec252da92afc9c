// SPDX-License-Identifier: Apache-2.0
// The v1 devices controller. Containers share `<parent>/default`, which allows kDefaultDevices and
// nothing else. One that is privileged or wants further devices has a group of its own,
// `<parent>/berth-pod.container`; one that may write to the control files of its group
// (CAP_SYS_ADMIN) has `<parent>/guarded/berth-pod.container`, whose rights are those of `guarded`
// and cannot be more. The group that exists is the one that the container is in.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/cgroup_fs.h"

namespace berth::plugins {

constexpr const char* kGuardedDeviceGroup = "guarded";

// Makes `<parent>/default` or `<parent>/guarded` and gives it its rules if it has not exactly
// those.
Status make_default_device_group(const sys::Cgroup& devices, const std::string& path);
// `rules` are checked already. Privileged: everything is allowed.
Status make_own_device_group(const sys::Cgroup& devices, const std::string& path, bool privileged,
                             const std::vector<std::string>& rules);

}  // namespace berth::plugins
