// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "core/linux/memfd.h"
#include "core/linux/openat2.h"
#include "core/linux/seccomp/compact.h"
#include "core/linux/seccomp/front.h"
#include "core/linux/seccomp/numbers.h"
#include "core/linux/seccomp/rules.h"

namespace berth::sys {
namespace {

constexpr std::size_t kInstructionsMax = 4096;  // BPF_MAXINSNS

struct ContextRelease {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextRelease>;

Error compile_error(int result, const std::string& what) {
  return sys_error(result < 0 ? -result : EINVAL, "seccomp", what);
}

scmp_compare native_compare(SeccompCompare compare) {
  switch (compare) {
    case SeccompCompare::ne:
      return SCMP_CMP_NE;
    case SeccompCompare::lt:
      return SCMP_CMP_LT;
    case SeccompCompare::le:
      return SCMP_CMP_LE;
    case SeccompCompare::eq:
      return SCMP_CMP_EQ;
    case SeccompCompare::ge:
      return SCMP_CMP_GE;
    case SeccompCompare::gt:
      return SCMP_CMP_GT;
    case SeccompCompare::masked_eq:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

Status add_one(void* context, const SeccompRule& rule, int number, const std::string& name) {
  std::vector<scmp_arg_cmp> compares;
  for (const SeccompArgument& argument : rule.arguments) {
    compares.push_back(
        {argument.index, native_compare(argument.compare), argument.value, argument.value_two});
  }
  const int result = ::seccomp_rule_add_array(
      context, rule.action, number, static_cast<unsigned>(compares.size()), compares.data());
  // EDOM: the call does not exist on one of the other architectures.
  if (result == 0 || result == -EDOM) return {};
  return compile_error(result, name);
}

Status add_rule(void* context, const SeccompRule& rule, const std::set<std::string>& not_these) {
  for (const std::string& name : rule.names) {
    if (not_these.count(name) > 0) continue;
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    TRY_(add_one(context, rule, number, name));
  }
  return {};
}

// Appends what the library writes. Its jumps are relative, so it does not notice what is before it.
Result<SeccompInstructions> export_program(void* context, SeccompInstructions program) {
  TRY(const UniqueFd memory, memfd_create("berth-seccomp"));
  const int result = ::seccomp_export_bpf(context, memory.get());
  if (result != 0) return compile_error(result, "export");
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return sys_error(errno, "lseek", "seccomp");
  TRY(const std::string bytes, read_all(memory.get(), 1 << 20, "seccomp program"));
  const std::size_t before = program.size();
  program.resize(before + bytes.size() / sizeof(std::uint64_t));
  ::memcpy(program.data() + before, bytes.data(), bytes.size());
  return program;
}

std::vector<std::uint32_t> audit_architectures(const SeccompFilter& filter) {
  std::vector<std::uint32_t> list;
  for (const SeccompAbi& abi : seccomp_abis(filter.architectures)) {
    const bool known = std::find(list.begin(), list.end(), abi.architecture) != list.end();
    if (!known) list.push_back(abi.architecture);
  }
  return list;
}

}  // namespace

Result<SeccompInstructions> compile_filter(const SeccompFilter& filter) {
  const Context context(::seccomp_init(filter.default_action));
  if (context == nullptr) return sys_error(EINVAL, "seccomp", "default action");
  for (const std::uint32_t architecture : filter.architectures) {
    const int result = ::seccomp_arch_add(context.get(), architecture);
    if (result != 0 && result != -EEXIST) return compile_error(result, "architecture");
  }
  // A balanced tree instead of a list: the kernel runs the program for every system call number
  // when it is installed (its cache of always-allowed calls), and a list makes that 20 times as
  // long.
  static_cast<void>(::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));
  const std::set<std::string> of_front = front_names(filter);
  for (const SeccompRule& rule : filter.rules) {
    // The library refuses a rule that says what would happen anyway.
    if (rule.action == filter.default_action) continue;
    TRY_(add_rule(context.get(), rule, of_front));
  }
  TRY(const SeccompInstructions program, export_program(context.get(), front_program(filter)));
  const SeccompInstructions shorter = compact(program, audit_architectures(filter));
  if (shorter.size() > kInstructionsMax) {
    return make_error(Errc::invalid_argument, "the seccomp profile compiles to " +
                                                  std::to_string(shorter.size()) +
                                                  " instructions; the kernel takes 4096");
  }
  return shorter;
}

Result<SeccompAction> action_from_name(const std::string& name, std::uint32_t errno_value) {
  if (name == "SCMP_ACT_ALLOW") return SeccompAction{SCMP_ACT_ALLOW};
  if (name == "SCMP_ACT_ERRNO") return SeccompAction{SCMP_ACT_ERRNO(errno_value)};
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") {
    return SeccompAction{SCMP_ACT_KILL_THREAD};
  }
  if (name == "SCMP_ACT_KILL_PROCESS") return SeccompAction{SCMP_ACT_KILL_PROCESS};
  if (name == "SCMP_ACT_TRAP") return SeccompAction{SCMP_ACT_TRAP};
  if (name == "SCMP_ACT_LOG") return SeccompAction{SCMP_ACT_LOG};
  if (name == "SCMP_ACT_TRACE") return SeccompAction{SCMP_ACT_TRACE(errno_value)};
  return make_error(Errc::invalid_argument, "seccomp action `" + name + "` is not supported");
}

bool lets_through(SeccompAction action) {
  switch (action & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_TRACE:
      return true;
    default:
      return false;
  }
}

Result<std::uint32_t> architecture_from_name(const std::string& name) {
  constexpr char kPrefix[] = "SCMP_ARCH_";
  if (name.rfind(kPrefix, 0) != 0) {
    return make_error(Errc::invalid_argument, "seccomp architecture `" + name + "` is unknown");
  }
  std::string short_name = name.substr(sizeof kPrefix - 1);
  for (char& c : short_name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return ::seccomp_arch_resolve_name(short_name.c_str());
}

std::vector<std::uint32_t> secondary_architectures() {
  switch (::seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
      return {SCMP_ARCH_X86, SCMP_ARCH_X32};
    case SCMP_ARCH_AARCH64:
      return {SCMP_ARCH_ARM};
    default:
      return {};
  }
}

}  // namespace berth::sys
