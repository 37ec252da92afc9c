// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace berth {
namespace {

TEST(UniqueFd, DuplicateIsTheSameOpenFileUnderItsOwnNumber) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read(ends[0]);
  UniqueFd write(ends[1]);
  UniqueFd copy = MUST(write.duplicate());
  EXPECT_NE(copy.get(), write.get());
  EXPECT_GE(copy.get(), 3);
  EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  write.reset();
  ASSERT_EQ(::write(copy.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(read.get(), &byte, 1), 1);
  copy.reset();
  EXPECT_EQ(::read(read.get(), &byte, 1), 0);
}

TEST(UniqueFd, DuplicateOfNoDescriptorIsAnError) {
  const UniqueFd none;
  Result<UniqueFd> copy = none.duplicate();
  ASSERT_FALSE(copy.ok());
  EXPECT_EQ(copy.error().sys_errno, EBADF);
}

}  // namespace
}  // namespace berth
