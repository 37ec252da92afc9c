// SPDX-License-Identifier: Apache-2.0
// The host name and the kernel settings of a sandbox, written inside its namespaces.
#pragma once

#include <map>
#include <string>

#include "core/ring/ring.h"
#include "core/task/task.h"

namespace berth::native {

struct SandboxSettings {
  int net = -1;  // borrowed until the task has ended; -1: the host's
  int ipc = -1;
  int uts = -1;
  std::string hostname{};  // set when there is a uts namespace
  // "net.ipv4.ip_forward" or "net/ipv4/conf/eth0.1/forwarding" -> "1"
  std::map<std::string, std::string> sysctl{};
};

// invalid_argument: the kernel has no such setting, or refuses the value.
Task<void> configure_sandbox(Ring& ring, SandboxSettings settings);
// "net.ipv4.ip_forward" -> "net/ipv4/ip_forward"; a name with a '/' is a path already.
std::string sysctl_path(const std::string& name);

}  // namespace berth::native
