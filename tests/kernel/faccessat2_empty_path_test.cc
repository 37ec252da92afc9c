// SPDX-License-Identifier: Apache-2.0
// FACT: faccessat2 (Linux 5.8) with AT_EMPTY_PATH answers for a descriptor, also an O_PATH one, and
// with AT_EACCESS for the effective identity.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/unique_fd.h"
#include "core/linux/mount.h"
#include "core/linux/openat2.h"

namespace berth::sys {
namespace {

// 0, or the errno of a check whether effective user `uid` may execute the file.
int may_execute_as(int fd, uid_t uid) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::seteuid(uid) != 0) ::_exit(255);
    const long answer = ::syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS);
    ::_exit(answer == 0 ? 0 : errno);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST(Faccessat2, AnswersForADescriptorAndTheEffectiveIdentity) {
  const UniqueMount tmpfs = mount_filesystem("tmpfs", "size=64k").value();
  const UniqueFd file = openat(tmpfs.get(), "program", O_CREAT | O_RDWR, 0700).value();
  const UniqueFd path = openat(tmpfs.get(), "program", O_PATH).value();
  for (const int fd : {file.get(), path.get()}) {
    EXPECT_EQ(may_execute_as(fd, 0), 0);
    EXPECT_EQ(may_execute_as(fd, 65534), EACCES);
  }
  ASSERT_EQ(::fchmod(file.get(), 0600), 0);
  EXPECT_EQ(may_execute_as(path.get(), 0), EACCES);
}

}  // namespace
}  // namespace berth::sys
