// SPDX-License-Identifier: Apache-2.0
// The checks of `berth doctor`. Each check tries the kernel feature instead of comparing versions,
// and changes nothing on the machine.
#pragma once

#include <string>
#include <vector>

namespace berth::cli {

enum class Health { ok, warn, fail };

struct HostCheck {
  Health health = Health::ok;
  std::string what;
  std::string fix;  // empty when ok
};
using HostChecks = std::vector<HostCheck>;

// privilege.cc: root, capabilities, descriptor limit, user namespaces.
void check_privilege(HostChecks* checks);
// kernel.cc: version, overlay, EROFS, the mount API, pidfd exit codes, BTF.
void check_kernel(HostChecks* checks);
// ring.cc: io_uring and its opcodes.
void check_ring(HostChecks* checks);
// cgroup.cc: the hierarchy of each controller.
void check_cgroup(HostChecks* checks);

// The text of a small file without the last newline; empty when it cannot be read.
std::string read_small_file(const std::string& path);

}  // namespace berth::cli
