// SPDX-License-Identifier: Apache-2.0
// From records to the process that is launched. What does not touch the kernel is pure; volumes are
// planned apart (mounts.h), because opening them may wait.
#pragma once

#include "core/base/result.h"
#include "core/oci/spec.h"
#include "cri/container/mounts.h"
#include "cri/container/seccomp_cache.h"
#include "cri/pods.h"
#include "cri/state/record.pb.h"

namespace berth::cri {

struct SpecWish {
  const state::v1::ContainerRecord& record;
  const PodNamespaces& namespaces;
  int target_pid_namespace = -1;  // pid mode TARGET: descriptor of it
  std::uint64_t available_capabilities = 0;
  SeccompCache& seccomp;
};

// The process as it is first launched, or as exec launches another one like it (with other args).
Result<oci::Process> process_of(const SpecWish& wish);
// Everything but the mounts and the devices.
Result<oci::Spec> spec_of(const SpecWish& wish);
// A profile asked for by name that cannot be enforced here is an error, never ignored.
Status check_profiles(const runtime::v1::LinuxContainerSecurityContext& security);

}  // namespace berth::cri
