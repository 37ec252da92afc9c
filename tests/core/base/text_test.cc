// SPDX-License-Identifier: Apache-2.0
// Promise: whatever a stranger wrote, what we show of it is one line of ASCII.
#include "core/base/text.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

TEST(Text, ForeignBytesCannotBreakALine) {
  EXPECT_EQ(quoted("a b~"), "`a b~`");
  EXPECT_EQ(quoted("a\nb\x1b[31m\x7f\xc3\xa4"), "`a?b?[31m???`");
  EXPECT_EQ(quoted(std::string_view("a\0b", 3)), "`a?b`");
  EXPECT_EQ(printable(""), "");
}

TEST(Text, WhatIsLongIsCutAndSaysSo) {
  EXPECT_EQ(quoted("12345", 5), "`12345`");
  EXPECT_EQ(quoted("123456", 5), "`12345...`");
}

}  // namespace
}  // namespace berth
