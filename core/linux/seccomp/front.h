// SPDX-License-Identifier: Apache-2.0
// The part of a filter that libseccomp cannot write; it stands before what libseccomp writes and
// falls through to it. Private to this room.
//
//   - Arguments that the kernel takes as 32 bits (SeccompArgument::is_int). libseccomp compares all
//     64 bits of the register, the kernel drops the upper half.
//   - System calls whose names libseccomp does not know (numbers.cc has them).
//   - ENOSYS for calls newer than every one that the filter names. libcs try new calls first and
//     fall back on ENOSYS, never on EPERM.
#pragma once

#include <set>
#include <string>

#include "core/linux/seccomp/rules.h"
#include "core/linux/seccomp/seccomp.h"

namespace berth::sys {

// The calls of which the front, not libseccomp, says everything that `filter` says.
std::set<std::string> front_names(const SeccompFilter& filter);
// For a call, rules with arguments are tried before those without.
SeccompInstructions front_program(const SeccompFilter& filter);

}  // namespace berth::sys
