// SPDX-License-Identifier: Apache-2.0
// FACT: a mount made by fsopen and fsmount in one mount namespace can be attached in another one by
// any process that has its descriptor, and the namespace where it was made never shows it. The same
// is true of a clone by open_tree. (fsmount(2), move_mount(2); Linux 5.2.) berth's root filesystems
// and volumes rely on it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/linux/mount.h"
#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

std::string mount_table() {
  return read_small_file(AT_FDCWD, "/proc/self/mountinfo").value();
}

// In a process with a mount namespace of its own: attaches and looks; 0 when `file` is found there.
int attach_elsewhere(const UniqueMount& mount, const std::string& file) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(2);
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) ::_exit(3);
    if (!move_mount(mount.get(), AT_FDCWD, "/mnt").ok()) ::_exit(4);
    ::_exit(::access(("/mnt/" + file).c_str(), F_OK) == 0 ? 0 : 5);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WEXITSTATUS(status);
}

TEST(DetachedMount, NewFilesystemIsAttachedInAnotherNamespaceOnly) {
  const std::string before = mount_table();
  const UniqueMount mount = mount_filesystem("tmpfs", "size=64k").value();
  ASSERT_TRUE(openat(mount.get(), "file", O_CREAT | O_WRONLY, 0600).ok());
  EXPECT_EQ(attach_elsewhere(mount, "file"), 0);
  EXPECT_EQ(mount_table(), before);
  EXPECT_NE(::access("/mnt/file", F_OK), 0);
}

TEST(DetachedMount, CloneOfAHostDirectoryIsAttachedInAnotherNamespaceOnly) {
  const std::string before = mount_table();
  const UniqueMount mount = open_tree_clone(AT_FDCWD, "/etc", true).value();
  EXPECT_EQ(attach_elsewhere(mount, "passwd"), 0);
  EXPECT_EQ(mount_table(), before);
}

TEST(DetachedMount, ItIsAttachedOnceOnly) {
  const UniqueMount mount = mount_filesystem("tmpfs", "size=64k").value();
  EXPECT_EQ(attach_elsewhere(mount, ""), 0);
  EXPECT_EQ(attach_elsewhere(mount, ""), 4) << "a launch consumes its root filesystem";
}

}  // namespace
}  // namespace berth::sys
