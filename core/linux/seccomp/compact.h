// SPDX-License-Identifier: Apache-2.0
// Makes a filter program shorter without changing what it says. Private to core/linux's seccomp
// files.
//
// Why: installing a filter costs the kernel time in proportion to its instructions (it compiles
// them, and it runs them once for every system call number to learn which are always allowed), and
// that is on the start path of every container. libseccomp writes one leaf for each system call;
// most neighbours in the table have the same verdict, so ranges of numbers do. RuntimeDefault:
// 1,243 instructions and 245 us become what tests/core/linux/seccomp_compact_test.cc prints.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/linux/seccomp/seccomp.h"

namespace berth::sys {

// The verdict of `program` for one call, as the kernel would compute it: a SECCOMP_RET_* word.
// Without a value: an instruction that libseccomp never writes, or a jump outside.
struct SeccompCall {
  std::uint32_t architecture = 0;  // AUDIT_ARCH_*
  std::uint32_t number = 0;
  std::uint64_t arguments[6] = {};
};
std::optional<std::uint32_t> judge(std::span<const std::uint64_t> program, const SeccompCall& call);

// `architectures` are those that `program` knows (AUDIT_ARCH_*). Exact for every number; a program
// with instructions that are not understood is returned as it is.
SeccompInstructions compact(const SeccompInstructions& program,
                            std::span<const std::uint32_t> architectures);

}  // namespace berth::sys
