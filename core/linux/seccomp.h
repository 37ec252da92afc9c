// SPDX-License-Identifier: Apache-2.0
// Seccomp filters compiled to classic BPF, once for each profile; the launcher only installs them.
// seccomp(2). A program is struct sock_filter instructions, eight bytes each.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace berth::sys {

using SeccompInstructions = std::vector<std::uint64_t>;

// RuntimeDefault: an allow list; a call newer than all of them is ENOSYS, everything else is EPERM.
// `capabilities` (bits, capability.h) are the container's bounding set; each opens the calls that
// are useless without it. clone3 answers ENOSYS without CAP_SYS_ADMIN, because its flags cannot be
// filtered and libcs then fall back to clone.
Result<SeccompInstructions> runtime_default_program(std::uint64_t capabilities);

// A Localhost profile: the JSON document of docker and of the OCI specification (linux.seccomp).
// invalid_argument names the member that cannot be understood. Unknown system calls are skipped, as
// everywhere: profiles are written for newer kernels. Values of arguments are compared with all 64
// bits of the register, as the OCI and its runtimes do; a profile that means an int masks it
// (SCMP_CMP_MASKED_EQ with 0xffffffff).
Result<SeccompInstructions> profile_program(std::string_view json, std::uint64_t capabilities);

}  // namespace berth::sys
