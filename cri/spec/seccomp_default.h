// SPDX-License-Identifier: Apache-2.0
// The profile RuntimeDefault: an allow list; a call newer than all of them is ENOSYS, everything
// else is EPERM. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/oci/spec.h"

namespace berth::cri {

// `capabilities` (bits, core/linux/capability.h) are the container's bounding set; each opens the
// calls that are useless without it. clone3 answers ENOSYS without CAP_SYS_ADMIN, because its flags
// cannot be filtered and libcs then use clone.
oci::Seccomp seccomp_default(std::uint64_t capabilities);

// The other architectures whose programs this machine runs: "SCMP_ARCH_X86".
std::vector<std::string> secondary_architectures();

}  // namespace berth::cri
