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

TEST(Capability, FirstAndLastNameHaveTheirNumbers) {
  EXPECT_EQ(capability_from_name("CAP_CHOWN"), CAP_CHOWN);
  EXPECT_EQ(capability_from_name("CAP_CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
}

TEST(Capability, DefaultSetIsTheOneUsersKnow) {
  EXPECT_EQ(capability_container_default(), 0xa80425fbU);
}

TEST(Capability, PermittedSetHasNothingBeyondTheKnownOnes) {
  const std::uint64_t all = (capability_bit(CAP_LAST_CAP) << 1) - 1;
  EXPECT_EQ(capability_permitted().value() & ~all, 0U);
}

}  // namespace
}  // namespace berth::sys
