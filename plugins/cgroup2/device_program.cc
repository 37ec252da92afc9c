// SPDX-License-Identifier: Apache-2.0
#include "plugins/cgroup2/device_program.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

namespace berth::plugins {
namespace {

// Registers: r1 the context as the kernel passes it, then
constexpr std::uint8_t kType = BPF_REG_2;    // BPF_DEVCG_DEV_*
constexpr std::uint8_t kAccess = BPF_REG_3;  // BPF_DEVCG_ACC_* bits
constexpr std::uint8_t kMajor = BPF_REG_4;
constexpr std::uint8_t kMinor = BPF_REG_5;
constexpr std::uint8_t kScratch = BPF_REG_6;

bpf_insn instruction(std::uint8_t code, std::uint8_t dst, std::uint8_t src, std::int16_t offset,
                     std::int32_t immediate) {
  bpf_insn made{};
  made.code = code;
  made.dst_reg = dst & 15;
  made.src_reg = src & 15;
  made.off = offset;
  made.imm = immediate;
  return made;
}

bpf_insn load_word(std::uint8_t dst, std::size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, static_cast<std::int16_t>(offset),
                     0);
}
bpf_insn move_register(std::uint8_t dst, std::uint8_t src) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}
bpf_insn move_number(std::uint8_t dst, std::int32_t number) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, number);
}
bpf_insn alu(std::uint8_t operation, std::uint8_t dst, std::int32_t number) {
  return instruction(BPF_ALU | operation | BPF_K, dst, 0, 0, number);
}
// The distance is filled in when the end of the rule is known.
bpf_insn skip_rule_unless_equal(std::uint8_t dst, std::int64_t number) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, dst, 0, 0, static_cast<std::int32_t>(number));
}
bpf_insn leave() {
  return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

std::int32_t access_bits(const DeviceRule& rule) {
  return (rule.mknod ? BPF_DEVCG_ACC_MKNOD : 0) | (rule.read ? BPF_DEVCG_ACC_READ : 0) |
         (rule.write ? BPF_DEVCG_ACC_WRITE : 0);
}

void assemble_rule(const DeviceRule& rule, std::vector<bpf_insn>& program) {
  const std::size_t begin = program.size();
  if (rule.type != 'a') {
    const int wanted = rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    program.push_back(skip_rule_unless_equal(kType, wanted));
  }
  // The access must have no bit that the rule lacks.
  program.push_back(move_register(kScratch, kAccess));
  program.push_back(alu(BPF_AND, kScratch, ~access_bits(rule)));
  program.push_back(skip_rule_unless_equal(kScratch, 0));
  if (rule.major >= 0) program.push_back(skip_rule_unless_equal(kMajor, rule.major));
  if (rule.minor >= 0) program.push_back(skip_rule_unless_equal(kMinor, rule.minor));
  program.push_back(move_number(BPF_REG_0, 1));
  program.push_back(leave());
  for (std::size_t at = begin; at < program.size(); ++at) {
    if (program[at].code != (BPF_JMP | BPF_JNE | BPF_K)) continue;
    program[at].off = static_cast<std::int16_t>(program.size() - at - 1);
  }
}

int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

}  // namespace

std::vector<bpf_insn> assemble_device_program(const std::vector<DeviceRule>& rules) {
  std::vector<bpf_insn> program{
      load_word(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      load_word(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      load_word(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
      move_register(kAccess, kType),
      alu(BPF_RSH, kAccess, 16),
      alu(BPF_AND, kType, 0xffff),
  };
  for (const DeviceRule& rule : rules) assemble_rule(rule, program);
  program.push_back(move_number(BPF_REG_0, 0));
  program.push_back(leave());
  return program;
}

Result<UniqueFd> load_device_program(const std::vector<DeviceRule>& rules) {
  const std::vector<bpf_insn> program = assemble_device_program(rules);
  constexpr char kLicense[] = "Apache-2.0";
  constexpr char kName[] = "berth_devices";
  char log[4096] = "";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(kLicense);
  ::memcpy(attributes.prog_name, kName, sizeof kName);
  // KERNEL 6.1: the verifier gives up with EAGAIN when a signal is pending, and the caller tries
  // again. Proof: tests/kernel/bpf_load_signal_test.cc.
  constexpr int kAttemptsMax = 8;
  int fd = -1;
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    fd = bpf(BPF_PROG_LOAD, attributes);
    if (fd >= 0 || errno != EAGAIN) break;
  }
  if (fd >= 0) return UniqueFd(fd);
  const int first_errno = errno;
  // Once more, for the verifier's log.
  attributes.log_buf = reinterpret_cast<std::uintptr_t>(log);
  attributes.log_size = sizeof log;
  attributes.log_level = 1;
  fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return UniqueFd(fd);
  return sys_error(first_errno, "load device program", log);
}

Status attach_device_program(int cgroup_fd, int program_fd) {
  bpf_attr attributes{};
  attributes.target_fd = static_cast<std::uint32_t>(cgroup_fd);
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program_fd);
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attributes) == 0) return {};
  return sys_error(errno, "attach device program");
}

std::vector<DeviceRule> default_and(const std::vector<DeviceRule>& further) {
  std::vector<DeviceRule> all(kDefaultDevices.begin(), kDefaultDevices.end());
  all.insert(all.end(), further.begin(), further.end());
  return all;
}

}  // namespace berth::plugins
