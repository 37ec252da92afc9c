// SPDX-License-Identifier: Apache-2.0
#include "cri/spec/cgroup_reach.h"

#include <linux/capability.h>

#include "core/linux/capability.h"

namespace berth::cri {

namespace v1 = runtime::v1;
using plugins::CgroupReach;

namespace {

// Without CAP_SYS_ADMIN this profile refuses mount(2), fsopen(2), unshare(2), setns(2) and
// clone(2) with namespaces (cri/spec/seccomp_default.cc). Other profiles are not examined.
bool has_default_profile(const v1::LinuxContainerSecurityContext& security) {
  if (security.has_seccomp()) {
    return security.seccomp().profile_type() == v1::SecurityProfile::RuntimeDefault;
  }
  const std::string& path = security.seccomp_profile_path();
  return path == "runtime/default" || path == "docker/default";
}

}  // namespace

CgroupReach cgroup_reach_of(const v1::LinuxContainerSecurityContext& security,
                            std::uint64_t bounding, bool pod_shares_processes) {
  // With CAP_SYS_ADMIN a process can join the cgroup namespace of each process in its /proc.
  const v1::NamespaceMode pid = security.namespace_options().pid();
  const bool shares_processes =
      (pid == v1::NamespaceMode::POD && pod_shares_processes) || pid == v1::NamespaceMode::TARGET;
  if (security.privileged() || shares_processes) return CgroupReach::administrator;
  if ((bounding & sys::capability_bit(CAP_SYS_ADMIN)) != 0) return CgroupReach::administrator;
  return has_default_profile(security) ? CgroupReach::none : CgroupReach::user_namespace;
}

}  // namespace berth::cri
