// SPDX-License-Identifier: Apache-2.0
// FACT: mount(2) copies one page of options and silently drops the rest; fsconfig(2) refuses a
// value of 256 bytes.
#include <errno.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "core/linux/mount.h"

namespace berth::sys {
namespace {

// The errno of mounting a tmpfs with `options` in a mount namespace of its own; 0: it worked.
int mount_apart(const std::string& options) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(errno);
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(errno);
    ::_exit(::mount("none", "/tmp", "tmpfs", 0, options.c_str()) == 0 ? 0 : errno);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

TEST(MountOptions, BeyondOnePageAreDropped) {
  std::string options;
  while (options.size() < 4096) options += "size=64k,";
  EXPECT_EQ(mount_apart("no-such-option=1"), EINVAL);
  EXPECT_EQ(mount_apart("size=64k,no-such-option=1"), EINVAL);
  EXPECT_EQ(mount_apart(options.substr(0, 4095) + ",no-such-option=1"), 0);
}

TEST(FsconfigValues, HaveAtMost255Bytes) {
  FsContext context = FsContext::open("tmpfs").value();
  EXPECT_TRUE(context.set_string("source", std::string(255, 'a')).ok());
  FsContext other = FsContext::open("tmpfs").value();
  const Status refused = other.set_string("source", std::string(256, 'a'));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().sys_errno, EINVAL);
}

}  // namespace
}  // namespace berth::sys
