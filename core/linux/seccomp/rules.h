// SPDX-License-Identifier: Apache-2.0
// A filter before it is compiled, in libseccomp's numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/seccomp/seccomp.h"

namespace berth::sys {

// A libseccomp action word (SCMP_ACT_*), kept as a number so that its header stays in one file.
using SeccompAction = std::uint32_t;

enum class SeccompCompare { ne, lt, le, eq, ge, gt, masked_eq };

struct SeccompArgument {
  unsigned index = 0;
  SeccompCompare compare = SeccompCompare::eq;
  std::uint64_t value = 0;      // masked_eq: the mask
  std::uint64_t value_two = 0;  // masked_eq: what must remain
  // Compares the low 32 bits of the register.
  // KERNEL 6.1: the filter sees whole registers, and the wrapper of each call then casts them to
  // the C types of its parameters: socket((1UL << 32) | AF_VSOCK, ...) makes a virtual machine
  // socket. Proof: tests/core/linux/seccomp_test.cc.
  bool is_int = false;
};

struct SeccompRule {
  std::vector<std::string> names;
  SeccompAction action = 0;
  std::vector<SeccompArgument> arguments{};  // all must hold
};

struct SeccompFilter {
  SeccompAction default_action = 0;
  // libseccomp tokens (SCMP_ARCH_*) besides the native one.
  std::vector<std::uint32_t> architectures{};
  std::vector<SeccompRule> rules{};
  // ENOSYS for calls newer than every one that the rules name.
  bool newer_is_absent = false;
};

// Errors: invalid_argument, naming the system call whose rule cannot be expressed.
Result<SeccompInstructions> compile_filter(const SeccompFilter& filter);
// "SCMP_ACT_ALLOW"; `errno_value` for ERRNO and TRACE. invalid_argument for what berth cannot do.
Result<SeccompAction> action_from_name(const std::string& name, std::uint32_t errno_value);
// Whether the action lets a call happen, at least in part: ALLOW, LOG and TRACE.
bool lets_through(SeccompAction action);
// "SCMP_ARCH_X86"; nothing to add (0) for one that this machine does not run.
Result<std::uint32_t> architecture_from_name(const std::string& name);
// Of this machine, in the names of the OCI: "SCMP_ARCH_X86_64".
std::vector<std::uint32_t> secondary_architectures();

}  // namespace berth::sys
