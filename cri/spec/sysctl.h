// SPDX-License-Identifier: Apache-2.0
// Which kernel parameters a pod may set: those of a namespace that the pod has for itself. Pure.
#pragma once

#include <string>

#include "core/base/result.h"
#include "plugins/api/runtime_handler.h"

namespace berth::cri {

// The path below /proc/sys of a name as sysctl(8) takes it: "net.ipv4.conf.eth0/1.forwarding" is
// "net/ipv4/conf/eth0.1/forwarding", and a name with '/' as its first separator is a path already.
// invalid_argument with `field`: not a name, not of a namespace, or of one of the host's.
Result<std::string> sysctl_path(const std::string& field, const std::string& name,
                                const plugins::SandboxNamespaces& namespaces);

}  // namespace berth::cri
