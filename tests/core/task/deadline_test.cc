// SPDX-License-Identifier: Apache-2.0
#include "core/task/deadline.h"

#include <gtest/gtest.h>

#include <limits>

namespace berth {
namespace {

TEST(Deadline, NeverIsLaterThanEverythingAndDoesNotPass) {
  EXPECT_TRUE(Deadline::never().is_never());
  EXPECT_FALSE(Deadline::never().passed());
  EXPECT_EQ(Deadline::earliest(Deadline::never(), Deadline::at_ns(5)), Deadline::at_ns(5));
  EXPECT_LT(Deadline::after_ms(1'000'000), Deadline::never());
}

TEST(Deadline, APastOneHasNothingRemaining) {
  EXPECT_TRUE(Deadline::after_ms(-1).passed());
  EXPECT_EQ(Deadline::after_ms(-1).remaining_ns(), 0);
  EXPECT_FALSE(Deadline::after_ms(60'000).passed());
  EXPECT_GT(Deadline::after_ms(60'000).remaining_ns(), 59'000'000'000);
}

TEST(Deadline, AbsurdDurationsDoNotOverflow) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  EXPECT_TRUE(Deadline::after_ms(kMost).is_never());
  EXPECT_TRUE(Deadline::after_ns(kMost).is_never());
  EXPECT_TRUE(Deadline::after_ms(kLeast).passed());
  EXPECT_TRUE(Deadline::after_ns(kLeast).passed());
}

}  // namespace
}  // namespace berth
