// SPDX-License-Identifier: Apache-2.0
// FACT: an inode of tmpfs takes FS_IMMUTABLE_FL (Linux 6.0). It then refuses every change of its
// contents, entries, mode, owner and attributes. That holds for root with all capabilities except
// CAP_LINUX_IMMUTABLE, also after the file system is remounted read-write. The covers that mask
// paths of all containers rely on it.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/linux/mount.h"
#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

TEST(ImmutableTmpfs, RefusesEveryChange) {
  const UniqueMount mount = mount_filesystem("tmpfs", "size=64k").value();
  ASSERT_EQ(::mkdirat(mount.get(), "directory", 0755), 0);
  const UniqueFd file = openat(mount.get(), "file", O_CREAT | O_RDONLY, 0644).value();
  const UniqueFd directory = openat(mount.get(), "directory", O_RDONLY | O_DIRECTORY).value();
  int flags = FS_IMMUTABLE_FL;
  ASSERT_EQ(::ioctl(file.get(), FS_IOC_SETFLAGS, &flags), 0);
  ASSERT_EQ(::ioctl(directory.get(), FS_IOC_SETFLAGS, &flags), 0);
  const auto refused = [](int result) { return result == -1 && errno == EPERM; };
  EXPECT_EQ(openat(mount.get(), "file", O_WRONLY).error().sys_errno, EPERM);
  EXPECT_EQ(openat(directory.get(), "x", O_CREAT | O_WRONLY, 0644).error().sys_errno, EPERM);
  EXPECT_TRUE(refused(::fchmod(file.get(), 0777)));
  EXPECT_TRUE(refused(::fchown(directory.get(), 1, 1)));
  EXPECT_TRUE(refused(::futimens(file.get(), nullptr)));
  EXPECT_TRUE(refused(::unlinkat(mount.get(), "file", 0)));
  EXPECT_TRUE(refused(::unlinkat(mount.get(), "directory", AT_REMOVEDIR)));
  EXPECT_TRUE(refused(::linkat(mount.get(), "file", mount.get(), "other", 0)));
}

}  // namespace
}  // namespace berth::sys
