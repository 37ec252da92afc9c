// SPDX-License-Identifier: Apache-2.0
// A Localhost seccomp profile: the JSON document of docker and of the OCI specification
// (linux.seccomp), resolved for this machine and a set of capabilities.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/result.h"
#include "core/oci/spec.h"

namespace berth::cri {

// invalid_argument names the member that cannot be understood. Unknown system calls stay in the
// list and are skipped where the profile is compiled: profiles are written for newer kernels.
// Values of arguments are compared with all 64 bits of the register, as the OCI and its runtimes
// do; a profile that means an int masks it (SCMP_CMP_MASKED_EQ with 0xffffffff).
Result<oci::Seccomp> parse_seccomp_profile(std::string_view json, std::uint64_t capabilities);

}  // namespace berth::cri
