// SPDX-License-Identifier: Apache-2.0
// The agent's side of a launch: turns a Spec into the message of launch_plan.h. The descriptors
// named in `fds` are borrowed: they must stay open until the keeper has received them.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/container/launch_plan.h"
#include "core/oci/spec.h"

namespace berth::container {

struct EncodedPlan {
  UniqueFd memfd;        // sealed
  std::size_t size = 0;  // bytes of the message
  std::vector<int> fds;  // in the order in which the plan counts them; not the memfd
};

// What a process is placed into besides its Spec.
struct LaunchFds {
  int rootfs = -1;              // container: the detached mount; consumed by the launch
  int target = -1;              // exec: pidfd of the container's first process
  int cgroup = -1;              // cgroup v2 directory, or none
  std::vector<int> v1_tasks{};  // `tasks` files open for writing, or none
};

// container: everything in `spec`. Devices are made exactly as listed, none is implied.
Result<EncodedPlan> encode_container(const oci::Spec& spec, const LaunchFds& fds);
// exec: only the process and the filter; all namespaces of the target but its user namespace.
Result<EncodedPlan> encode_exec(const oci::Process& process, const oci::SeccompProgram& seccomp,
                                const LaunchFds& fds);
// pod_init: a fresh PID namespace and `namespaces`' ipc, uts and network; runs as `oom_score_adj`.
Result<EncodedPlan> encode_pod_init(const oci::Namespaces& namespaces, int oom_score_adj,
                                    const LaunchFds& fds);
// Errors of all three: invalid_argument (a NUL inside a text, an empty args, a relative
// destination, a duplicate rootfs), resource_exhausted (more than 4 MiB, 1,280 descriptors or 1,024
// mounts), unimplemented (a user namespace).

}  // namespace berth::container
