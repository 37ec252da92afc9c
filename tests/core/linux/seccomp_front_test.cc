// SPDX-License-Identifier: Apache-2.0
// The rules that the front writes have the meaning of libseccomp's.
#include "core/linux/seccomp/front.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <random>

#include "core/linux/seccomp/compact.h"

namespace berth::sys {
namespace {

constexpr std::uint32_t kMseal = 462;  // unknown to libseccomp 2.5, so the front writes it

constexpr std::uint32_t kMlock2OfI386 = 376;

// Values near each other, in both halves of a register.
std::uint64_t some_value(std::mt19937_64& random) {
  constexpr std::uint32_t kWords[] = {0, 1, 2, 5, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  const std::uint64_t high = kWords[random() % std::size(kWords)];
  return high << 32 | kWords[random() % std::size(kWords)];
}

std::vector<SeccompArgument> some_arguments(std::mt19937_64& random) {
  std::vector<SeccompArgument> arguments;
  for (unsigned index = 0; index < 6; ++index) {
    if (random() % 3 != 0) continue;
    const std::uint64_t mask = some_value(random);
    SeccompArgument argument{.index = index,
                             .compare = static_cast<SeccompCompare>(random() % 7),
                             .value = mask,
                             .value_two = some_value(random) & mask};
    arguments.push_back(argument);
  }
  return arguments;
}

SeccompCall some_call(std::mt19937_64& random, std::uint32_t number,
                      std::uint32_t architecture = AUDIT_ARCH_X86_64) {
  SeccompCall call{architecture, number, {}};
  for (std::uint64_t& argument : call.arguments) argument = some_value(random);
  return call;
}

TEST(SeccompFront, ComparesAsLibseccompDoes) {
  std::mt19937_64 random(20261129);
  int matched = 0;
  for (int round = 0; round < 300; ++round) {
    const std::vector<SeccompArgument> arguments = some_arguments(random);
    const SeccompFilter filter{.default_action = SECCOMP_RET_ERRNO | 1,
                               .architectures = secondary_architectures(),
                               .rules = {{{"mlock2"}, SECCOMP_RET_ALLOW, arguments},
                                         {{"mseal"}, SECCOMP_RET_ALLOW, arguments}}};
    const SeccompInstructions program = compile_filter(filter).value();
    for (int call = 0; call < 200; ++call) {
      // i386 has registers of 32 bits, even if a profile compares 64.
      const bool is_32 = call % 2 == 1;
      const SeccompCall known = some_call(random, is_32 ? kMlock2OfI386 : SYS_mlock2,
                                          is_32 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64);
      SeccompCall unknown = known;
      unknown.number = kMseal;
      const auto expected = judge(program, known);
      ASSERT_TRUE(expected.has_value());
      ASSERT_EQ(judge(program, unknown), expected);
      if (!arguments.empty() && *expected == SECCOMP_RET_ALLOW) ++matched;
    }
  }
  EXPECT_GT(matched, 1000) << "the values hardly ever match";
}

TEST(SeccompFront, AnIntHasNoUpperHalf) {
  std::mt19937_64 random(20261130);
  for (int round = 0; round < 200; ++round) {
    std::vector<SeccompArgument> arguments = some_arguments(random);
    for (SeccompArgument& argument : arguments) argument.is_int = true;
    const SeccompFilter filter{.default_action = SECCOMP_RET_ERRNO | 1,
                               .rules = {{{"mlock2"}, SECCOMP_RET_ALLOW, arguments}}};
    const SeccompInstructions program = compile_filter(filter).value();
    for (int call = 0; call < 100; ++call) {
      SeccompCall one = some_call(random, SYS_mlock2);
      SeccompCall other = one;
      for (std::uint64_t& argument : other.arguments) argument ^= random() << 32;
      ASSERT_EQ(judge(program, one), judge(program, other));
    }
  }
}

TEST(SeccompFront, ARuleWithArgumentsComesBeforeOneWithout) {
  const SeccompFilter filter{
      .default_action = SECCOMP_RET_ALLOW,
      .rules = {{{"mseal"}, SECCOMP_RET_ERRNO | 1},
                {{"mseal"}, SECCOMP_RET_ERRNO | 2, {{.index = 1, .value = 7}}}}};
  const SeccompInstructions program = compile_filter(filter).value();
  EXPECT_EQ(judge(program, {AUDIT_ARCH_X86_64, kMseal, {0, 7}}), SECCOMP_RET_ERRNO | 2U);
  EXPECT_EQ(judge(program, {AUDIT_ARCH_X86_64, kMseal, {0, 8}}), SECCOMP_RET_ERRNO | 1U);
}

}  // namespace
}  // namespace berth::sys
