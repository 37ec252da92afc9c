// SPDX-License-Identifier: Apache-2.0
// The specification of a container: resolved at Create, stored in its record, loaded by Start and
// Exec.
#pragma once

#include "core/oci/spec.h"
#include "core/task/task.h"
#include "cri/node.h"
#include "cri/state/records.h"

namespace berth::cri {

// Resolves everything but the process's user, args, env and cwd, which need the root filesystem
// (resolve_process). Looks at the host's devices and at the seccomp profile. Errors name the field.
Task<oci::Spec> resolve_spec(Node& node, std::shared_ptr<Container> container,
                             const records::ContainerRecord& record);

// Writes it into the record, its seccomp profile into the profiles' table. The record is saved
// before the next co_await.
Status store_spec(Node& node, const oci::Spec& spec, records::ContainerRecord& record);

// The stored one. The record of an agent before it has none: then it is resolved now, with the
// process that the record has, and written into `record`, which the caller may save.
Task<oci::Spec> load_spec(Node& node, std::shared_ptr<Container> container,
                          records::ContainerRecord& record);

}  // namespace berth::cri
