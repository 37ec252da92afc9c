// SPDX-License-Identifier: Apache-2.0
// Promise: untrusted text is shown as one line of ASCII, and long text is cut with a mark.
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

TEST(Text, LongTextIsCutWithAMark) {
  EXPECT_EQ(quoted("12345", 5), "`12345`");
  EXPECT_EQ(quoted("123456", 5), "`12345...`");
}

}  // namespace
}  // namespace berth
