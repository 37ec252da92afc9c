// SPDX-License-Identifier: Apache-2.0
#include "core/linux/seccomp/numbers.h"

#include <linux/audit.h>
#include <seccomp.h>

#include <string>

namespace berth::sys {
namespace {

constexpr std::uint32_t kX32Bit = 0x40000000;

// Calls that the libseccomp of Debian 12 (2.5.4) does not know, or not everywhere. Since Linux 5.1
// a new call has the same number on every architecture.
struct NewerCall {
  std::string_view name;
  std::uint32_t number;
};
constexpr NewerCall kNewerCalls[] = {
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},
};

SeccompAbi abi_of(std::uint32_t token) {
  switch (token) {
    case SCMP_ARCH_X86_64:
      return {.token = token, .architecture = SCMP_ARCH_X86_64, .last = kX32Bit - 1};
    case SCMP_ARCH_X32:
      return {.token = token, .architecture = SCMP_ARCH_X86_64, .first = kX32Bit, .is_32 = true};
    default:
      return {.token = token, .architecture = token, .is_32 = (token & __AUDIT_ARCH_64BIT) == 0};
  }
}

}  // namespace

std::vector<SeccompAbi> seccomp_abis(const std::vector<std::uint32_t>& secondary) {
  std::vector<SeccompAbi> abis = {abi_of(::seccomp_arch_native())};
  for (const std::uint32_t token : secondary) {
    bool present = false;
    for (const SeccompAbi& abi : abis) present = present || abi.token == token;
    if (!present) abis.push_back(abi_of(token));
  }
  return abis;
}

SeccompReserved reserved_numbers(const SeccompAbi& abi) {
  switch (abi.token) {
    case SCMP_ARCH_X32:
      return {kX32Bit + 512, kX32Bit + 547};
    case SCMP_ARCH_ARM:
      return {0xf0000, 0x7fffffff};
    default:
      return {};
  }
}

std::optional<std::uint32_t> library_number(const SeccompAbi& abi, std::string_view name) {
  const int number = ::seccomp_syscall_resolve_name_arch(abi.token, std::string(name).c_str());
  // Negative ones stand for calls that another architecture has.
  if (number < 0) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

std::optional<std::uint32_t> own_number(const SeccompAbi& abi, std::string_view name) {
  // The library gives a number of its own to what i386 also reaches through socketcall(2).
  if (abi.token == SCMP_ARCH_X86 && name == "socket") return 359;
  // KERNEL 6.11: the trampoline of a return probe, on x86-64 alone. A filter that refuses it kills
  // the probed process. Proof: tests/core/linux/seccomp_test.cc.
  if (abi.token == SCMP_ARCH_X86_64 && name == "uretprobe") return 335;
  for (const NewerCall& call : kNewerCalls) {
    if (call.name == name) return abi.first + call.number;
  }
  return std::nullopt;
}

bool known_to_library(std::string_view name) {
  return ::seccomp_syscall_resolve_name(std::string(name).c_str()) != __NR_SCMP_ERROR;
}

}  // namespace berth::sys
