// SPDX-License-Identifier: Apache-2.0
// The device rules of a cgroup as a BPF program of type CGROUP_DEVICE. The kernel runs it on every
// open and mknod of a device; it allows an access that one rule covers entirely and refuses every
// other with EPERM.
#pragma once

#include <linux/bpf.h>

#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "plugins/resources/devices.h"

namespace berth::plugins {

// Pure. At most 9 instructions for each rule.
std::vector<bpf_insn> assemble_device_program(const std::vector<DeviceRule>& rules);
// The descriptor keeps the program; so does every cgroup it is attached to.
Result<UniqueFd> load_device_program(const std::vector<DeviceRule>& rules);
// Ends with the cgroup. Programs of a group and of those above it must all agree.
Status attach_device_program(int cgroup_fd, int program_fd);

// kDefaultDevices, then `further`.
std::vector<DeviceRule> default_and(const std::vector<DeviceRule>& further);

}  // namespace berth::plugins
