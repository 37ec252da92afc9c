// SPDX-License-Identifier: Apache-2.0
// Runs the assembled program with an interpreter of the instructions that it uses.
#include "plugins/cgroup2/device_program.h"

#include <gtest/gtest.h>

namespace berth::plugins {
namespace {

struct Access {
  char type;
  std::uint32_t major;
  std::uint32_t minor;
  const char* bits;
};

std::uint32_t access_type(const Access& access) {
  std::uint32_t bits = 0;
  for (const char* c = access.bits; *c != 0; ++c) {
    bits |= *c == 'm' ? BPF_DEVCG_ACC_MKNOD : *c == 'r' ? BPF_DEVCG_ACC_READ : BPF_DEVCG_ACC_WRITE;
  }
  return bits << 16 | (access.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
}

std::uint64_t run(const std::vector<bpf_insn>& program, const Access& access) {
  const std::uint32_t context[3] = {access_type(access), access.major, access.minor};
  std::uint64_t r[11] = {};
  for (std::size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& i = program[at];
    const auto number = static_cast<std::uint32_t>(i.imm);
    switch (i.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        r[i.dst_reg] = context[i.off / 4];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_X:
        r[i.dst_reg] = r[i.src_reg];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        r[i.dst_reg] = number;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        r[i.dst_reg] = (r[i.dst_reg] & number) & 0xffffffff;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        r[i.dst_reg] = (r[i.dst_reg] & 0xffffffff) >> number;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        at += r[i.dst_reg] != number ? i.off : 0;
        break;
      case BPF_JMP | BPF_EXIT:
        return r[0];
      default:
        ADD_FAILURE() << "unknown instruction " << int{i.code};
        return 99;
    }
  }
  ADD_FAILURE() << "the program has no exit at its end";
  return 99;
}

TEST(DeviceProgram, DefaultsAllowExactlyTheirDevices) {
  const auto program = assemble_device_program(default_and({}));
  for (const Access& access :
       {Access{'c', 1, 3, "rw"}, Access{'c', 1, 9, "r"}, Access{'c', 136, 77, "rw"},
        Access{'c', 5, 2, "rwm"}, Access{'b', 8, 0, "m"}, Access{'c', 10, 200, "m"}}) {
    EXPECT_EQ(run(program, access), 1u) << access.type << access.major << ":" << access.minor;
  }
  for (const Access& access :
       {Access{'c', 1, 1, "r"}, Access{'b', 8, 0, "r"}, Access{'b', 1, 3, "rw"},
        Access{'c', 10, 200, "rw"}, Access{'c', 10, 200, "mr"}, Access{'c', 5, 3, "r"},
        Access{'c', 5, 1, "r"}}) {
    EXPECT_EQ(run(program, access), 0u) << access.type << access.major << ":" << access.minor;
  }
}

TEST(DeviceProgram, ARuleAllowsOnlyItsAccess) {
  const auto program = assemble_device_program({{'b', 8, -1, true, false, false}});
  EXPECT_EQ(run(program, {'b', 8, 5, "r"}), 1u);
  EXPECT_EQ(run(program, {'b', 8, 5, "rw"}), 0u);
  EXPECT_EQ(run(program, {'c', 8, 5, "r"}), 0u);
  EXPECT_EQ(run(program, {'b', 9, 5, "r"}), 0u);
}

TEST(DeviceProgram, EverythingAndNothing) {
  const auto everything = assemble_device_program({{'a', -1, -1, true, true, true}});
  const auto nothing = assemble_device_program({});
  for (const Access& access : {Access{'c', 1, 1, "rwm"}, Access{'b', 259, 0, "r"}}) {
    EXPECT_EQ(run(everything, access), 1u);
    EXPECT_EQ(run(nothing, access), 0u);
  }
}

}  // namespace
}  // namespace berth::plugins
