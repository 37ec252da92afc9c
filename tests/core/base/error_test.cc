// SPDX-License-Identifier: Apache-2.0
#include "core/base/error.h"

#include <errno.h>
#include <gtest/gtest.h>

#include <string>

namespace berth {
namespace {

TEST(Error, MessageIsContextThenOperationAndObjectThenErrno) {
  Error error = sys_error(EBUSY, "write memory.max", "pod-x").with("start container");
  EXPECT_EQ(error.code, Errc::failed_precondition);
  EXPECT_EQ(error.message(), "start container: write memory.max `pod-x`: EBUSY");
}

TEST(Error, KeepsAnOperationThatWasBuiltAtRunTime) {
  Error error;
  {
    const std::string step = "mount option " + std::to_string(7);
    error = sys_error(EINVAL, step, "/data");
  }
  EXPECT_EQ(error.message(), "mount option 7 `/data`: EINVAL");
}

TEST(Error, WithoutErrnoIsItsSentence) {
  EXPECT_EQ(make_error(Errc::not_found, "no container of this id").message(),
            "no container of this id");
  Error bare;
  bare.code = Errc::aborted;
  EXPECT_EQ(bare.message(), "ABORTED");
}

}  // namespace
}  // namespace berth
