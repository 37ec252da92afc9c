// SPDX-License-Identifier: Apache-2.0
// From an OCI specification to the input of a launch plan (core/container/launch.h). Pure: the
// descriptors are opened by the caller.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/container/launch.h"
#include "core/oci/spec.h"
#include "plugins/api/runtime_handler.h"

namespace berth::native {

// Refuses a specification that berth cannot launch: hooks, a user namespace, an LSM profile or
// label, an unknown mount option. unimplemented or invalid_argument, with the name of the member.
Status check_spec(const oci::Spec& spec);

// The descriptor of a namespace that is joined, by its type and path; borrowed.
using FindNamespace = std::function<Result<int>(oci::NamespaceType, const std::string&)>;

// `mounts` has the source of every bind mount of the list; borrowed until the launch ends. The
// filter is not part of it.
Result<container::LaunchContainer> container_of(oci::Spec spec,
                                                const std::vector<plugins::MountTree>& mounts,
                                                const FindNamespace& find_namespace);

// The places of a process; borrowed.
container::LaunchFds fds_of(const plugins::Placement& placement);

// The keeper's own limits are not for containers, so every plan says its own.
void complete_process(oci::Process& process);

}  // namespace berth::native
