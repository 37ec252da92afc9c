// SPDX-License-Identifier: Apache-2.0
// Which kernel settings a container may be given: only those that belong to a namespace of its own
// (or its pod's). Everything else would change the machine.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/oci/spec.h"

namespace berth::container {

// "net.ipv4.conf.eth0/1.forwarding" -> "net/ipv4/conf/eth0.1/forwarding": dots and slashes change
// places, as sysctl(8) does; a name that begins in the slash form is taken as it is.
// invalid_argument: not namespaced, its namespace is the host's, or not a name.
Result<std::string> sysctl_path(const std::string& name, const oci::Namespaces& namespaces);

}  // namespace berth::container
