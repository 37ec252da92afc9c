// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>

#include "core/linux/memfd.h"
#include "core/linux/openat2.h"
#include "core/linux/seccomp_compact.h"
#include "core/linux/seccomp_rules.h"

namespace berth::sys {
namespace {

constexpr std::size_t kInstructionsMax = 4096;  // BPF_MAXINSNS
constexpr std::uint32_t kX32Bit = 0x40000000;

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

Status add_one(void* context, const SeccompRule& rule, int number, const std::string& name,
               const std::vector<SeccompArgument>& arguments) {
  std::vector<scmp_arg_cmp> compares;
  for (const SeccompArgument& argument : arguments) {
    compares.push_back(
        {argument.index, native_compare(argument.compare), argument.value, argument.value_two});
  }
  const int result = ::seccomp_rule_add_array(
      context, rule.action, number, static_cast<unsigned>(compares.size()), compares.data());
  // EDOM: the call does not exist on one of the other architectures.
  if (result == 0 || result == -EDOM) return {};
  return compile_error(result, name);
}

// The library takes each argument once in a rule. A profile that names one twice means "or".
bool repeats_argument(const std::vector<SeccompArgument>& arguments) {
  std::set<unsigned> seen;
  return std::any_of(arguments.begin(), arguments.end(), [&seen](const SeccompArgument& argument) {
    return !seen.insert(argument.index).second;
  });
}

Status add_rule(void* context, const SeccompRule& rule) {
  for (const std::string& name : rule.names) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    if (!repeats_argument(rule.arguments)) {
      TRY_(add_one(context, rule, number, name, rule.arguments));
      continue;
    }
    for (const SeccompArgument& argument : rule.arguments) {
      TRY_(add_one(context, rule, number, name, {argument}));
    }
  }
  return {};
}

std::uint64_t instruction(unsigned short code, unsigned char jt, unsigned char jf,
                          std::uint32_t k) {
  const sock_filter filter{code, jt, jf, k};
  std::uint64_t word = 0;
  ::memcpy(&word, &filter, sizeof word);
  return word;
}

// A system call newer than every one that the filter knows is not refused, it does not exist: libcs
// try new calls first and fall back on ENOSYS, never on EPERM. These instructions go before the
// program; its jumps are relative, so it does not notice.
void append_newer_is_enosys(const SeccompFilter& filter, SeccompInstructions& program) {
  int newest = -1;
  for (const SeccompRule& rule : filter.rules) {
    for (const std::string& name : rule.names) {
      newest = std::max(newest, ::seccomp_syscall_resolve_name(name.c_str()));
    }
  }
  const std::uint32_t native = ::seccomp_arch_native();
  if (newest < 0) return;
  program.push_back(instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, arch)));
  program.push_back(instruction(BPF_JMP | BPF_JEQ | BPF_K, 0, 4, native));
  program.push_back(instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)));
  program.push_back(instruction(BPF_JMP | BPF_JGE | BPF_K, 2, 0, kX32Bit));
  program.push_back(
      instruction(BPF_JMP | BPF_JGT | BPF_K, 0, 1, static_cast<std::uint32_t>(newest)));
  program.push_back(instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS));
}

Result<SeccompInstructions> export_program(void* context, SeccompInstructions program) {
  TRY(const UniqueFd memory, memfd_create("berth-seccomp"));
  const int result = ::seccomp_export_bpf(context, memory.get());
  if (result != 0) return compile_error(result, "export");
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return sys_error(errno, "lseek", "seccomp");
  TRY(const std::string bytes, read_all(memory.get(), 1 << 20, "seccomp program"));
  const std::size_t before = program.size();
  program.resize(before + bytes.size() / sizeof(std::uint64_t));
  ::memcpy(program.data() + before, bytes.data(), bytes.size());
  if (program.size() > kInstructionsMax) {
    return make_error(Errc::invalid_argument, "the seccomp profile compiles to " +
                                                  std::to_string(program.size()) +
                                                  " instructions; the kernel takes 4096");
  }
  return program;
}

// What the kernel calls them. x32 is not one of its own there: its numbers have a bit set.
std::vector<std::uint32_t> audit_architectures(const SeccompFilter& filter) {
  std::vector<std::uint32_t> list = {::seccomp_arch_native()};
  for (const std::uint32_t architecture : filter.architectures) {
    const bool known = std::find(list.begin(), list.end(), architecture) != list.end();
    if (!known && architecture != SCMP_ARCH_X32) list.push_back(architecture);
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
  for (const SeccompRule& rule : filter.rules) {
    // The library refuses a rule that says what would happen anyway.
    if (rule.action == filter.default_action) continue;
    TRY_(add_rule(context.get(), rule));
  }
  SeccompInstructions program;
  const bool refuses = (filter.default_action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
  if (refuses) append_newer_is_enosys(filter, program);
  TRY(SeccompInstructions exported, export_program(context.get(), std::move(program)));
  return compact(exported, audit_architectures(filter));
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
