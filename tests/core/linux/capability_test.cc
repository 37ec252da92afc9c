// SPDX-License-Identifier: Apache-2.0
#include "core/linux/capability.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace berth::sys {
namespace {

TEST(Capability, NamesAreFoundInEverySpelling) {
  for (const char* name : {"CAP_NET_ADMIN", "NET_ADMIN", "cap_net_admin", "net_admin"}) {
    EXPECT_EQ(capability_from_name(name), CAP_NET_ADMIN) << name;
  }
  EXPECT_EQ(capability_from_name("ALL"), std::nullopt);
  EXPECT_EQ(capability_from_name(""), std::nullopt);
}

TEST(Capability, EveryNumberAndNameAgree) {
  for (int number = 0; number <= CAP_LAST_CAP; ++number) {
    EXPECT_EQ(capability_from_name(capability_name(number)), number);
  }
  EXPECT_EQ(capability_name(63), "");
  EXPECT_EQ(capability_name(-1), "");
  EXPECT_EQ(capability_names(capability_bit(CAP_CHOWN) | capability_bit(CAP_BPF)),
            (std::vector<std::string_view>{"CAP_CHOWN", "CAP_BPF"}));
}

TEST(Capability, DefaultSetIsTheOneUsersKnow) {
  EXPECT_EQ(capability_container_default(), 0xa80425fbU);
}

TEST(Capability, KernelKnowsAtLeastWhatItsHeadersName) {
  const std::uint64_t all = capability_all().value();
  EXPECT_NE(all & capability_bit(CAP_CHECKPOINT_RESTORE), 0U);
  EXPECT_EQ(capability_permitted().value() & ~all, 0U);
}

}  // namespace
}  // namespace berth::sys
