// SPDX-License-Identifier: Apache-2.0
// Numbers of system calls in each call interface that a filter covers. Private to this
// room.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace berth::sys {

// One call interface: what the kernel calls the architecture, and which numbers belong to it. x32
// is AUDIT_ARCH_X86_64 with bit 30 set in each number.
struct SeccompAbi {
  std::uint32_t token = 0;         // SCMP_ARCH_*
  std::uint32_t architecture = 0;  // AUDIT_ARCH_*
  std::uint32_t first = 0;
  std::uint32_t last = 0x7fffffff;
  bool is_32 = false;  // its registers have 32 bits
};

// A range of numbers that new system calls never get: [first, last], empty when first > last.
struct SeccompReserved {
  std::uint32_t first = 1;
  std::uint32_t last = 0;

  bool holds(std::uint32_t number) const { return number >= first && number <= last; }
};

// The native interface, and those of `secondary` (SCMP_ARCH_*).
std::vector<SeccompAbi> seccomp_abis(const std::vector<std::uint32_t>& secondary);
// x32 keeps 512..547 for calls that it alone has, arm keeps its private ones from 0xf0000.
SeccompReserved reserved_numbers(const SeccompAbi& abi);
// The number of a call as it is in seccomp_data::nr, by libseccomp and by the table here. Without a
// value: the interface does not have the call, or that table does not know it.
std::optional<std::uint32_t> library_number(const SeccompAbi& abi, std::string_view name);
std::optional<std::uint32_t> own_number(const SeccompAbi& abi, std::string_view name);
// Whether libseccomp knows the name on any architecture.
bool known_to_library(std::string_view name);

}  // namespace berth::sys
