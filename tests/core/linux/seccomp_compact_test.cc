// SPDX-License-Identifier: Apache-2.0
// A compacted filter gives the same verdict as the original for every call.
#include "core/linux/seccomp/compact.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include <random>

#include "core/linux/capability.h"
#include "core/linux/memfd.h"
#include "core/linux/openat2.h"
#include "tests/support/seccomp_programs.h"

namespace berth::sys {
namespace {

const std::uint32_t kArchitectures[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386};

// A program that libseccomp writes for random rules.
SeccompInstructions random_program(std::mt19937_64& random) {
  const scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ERRNO(1));
  ::seccomp_arch_add(context, SCMP_ARCH_X86);
  if (random() % 2 == 0) ::seccomp_arch_add(context, SCMP_ARCH_X32);
  ::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, random() % 2 == 0 ? 1 : 2);
  for (int rule = 0; rule < 200; ++rule) {
    const int number = static_cast<int>(random() % 450);
    const std::uint32_t action = random() % 4 == 0 ? SCMP_ACT_ERRNO(38) : SCMP_ACT_ALLOW;
    const scmp_arg_cmp compare = {static_cast<unsigned>(random() % 6),
                                  static_cast<scmp_compare>(1 + random() % 7), random() % 8,
                                  random() % 4};
    ::seccomp_rule_add_array(context, action, number, random() % 5 == 0 ? 1 : 0, &compare);
  }
  const UniqueFd memory = memfd_create("program").value();
  EXPECT_EQ(::seccomp_export_bpf(context, memory.get()), 0);
  ::seccomp_release(context);
  ::lseek(memory.get(), 0, SEEK_SET);
  const std::string bytes = read_all(memory.get(), 1 << 20, "program").value();
  SeccompInstructions program(bytes.size() / 8);
  ::memcpy(program.data(), bytes.data(), bytes.size());
  return program;
}

std::vector<std::uint32_t> numbers() {
  std::vector<std::uint32_t> list = {0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  for (std::uint32_t number = 0; number < 600; ++number) {
    list.push_back(number);
    list.push_back(number | 0x40000000);
  }
  return list;
}

void expect_same(const SeccompInstructions& one, const SeccompInstructions& other,
                 std::mt19937_64& random) {
  for (const unsigned architecture :
       {AUDIT_ARCH_X86_64 + 0U, AUDIT_ARCH_I386 + 0U, AUDIT_ARCH_ARM + 0U}) {
    for (const std::uint32_t number : numbers()) {
      for (int round = 0; round < 4; ++round) {
        SeccompCall call{architecture, number, {}};
        for (std::uint64_t& argument : call.arguments) {
          argument = random() % 2 == 0 ? random() % 8 : random();
        }
        const auto expected = judge(one, call);
        ASSERT_TRUE(expected.has_value());
        ASSERT_EQ(judge(other, call), expected) << architecture << " " << number;
      }
    }
  }
}

TEST(SeccompCompact, VerdictsAreTheSameForEveryNumberAndArchitecture) {
  std::mt19937_64 random(20261122);
  for (int round = 0; round < 8; ++round) {
    const SeccompInstructions program = random_program(random);
    expect_same(program, compact(program, kArchitectures), random);
  }
}

TEST(SeccompCompact, RuntimeDefaultBecomesMuchShorter) {
  const SeccompInstructions program =
      runtime_default_program(capability_container_default()).value();
  std::printf("RuntimeDefault: %zu instructions\n", program.size());
  EXPECT_LT(program.size(), 450U);
}

TEST(SeccompCompact, UnknownFormOfProgramIsLeftUnchanged) {
  sock_filter odd[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
                       {BPF_ALU | BPF_XOR | BPF_K, 0, 0, 5},
                       {BPF_RET | BPF_K, 0, 0, 0}};
  SeccompInstructions program(3);
  ::memcpy(program.data(), odd, sizeof odd);
  EXPECT_EQ(compact(program, kArchitectures), program);
  // A mask on the number: its verdicts change at numbers that are not constants of the program.
  odd[1] = {BPF_ALU | BPF_AND | BPF_K, 0, 0, 1};
  ::memcpy(program.data(), odd, sizeof odd);
  EXPECT_EQ(compact(program, kArchitectures), program);
}

}  // namespace
}  // namespace berth::sys
