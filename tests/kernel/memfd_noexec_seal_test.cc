// SPDX-License-Identifier: Apache-2.0
// FACT: memfd_create takes MFD_NOEXEC_SEAL (Linux 6.3): the file cannot be executed, and its mode
// cannot be changed so that it could. An older kernel answers EINVAL.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/unique_fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace berth {
namespace {

TEST(MemfdNoexecSeal, MakesAFileThatCannotBecomeAProgram) {
  const UniqueFd file(::memfd_create("fact", MFD_CLOEXEC | MFD_NOEXEC_SEAL));
  if (!file.valid()) {
    EXPECT_EQ(errno, EINVAL);
    GTEST_SKIP() << "needs Linux 6.3";
  }
  struct stat status {};
  ASSERT_EQ(::fstat(file.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0U);
  EXPECT_EQ(::fchmod(file.get(), 0700), -1);
  EXPECT_EQ(errno, EPERM);
}

}  // namespace
}  // namespace berth
