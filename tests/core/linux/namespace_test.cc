// SPDX-License-Identifier: Apache-2.0
#include "core/linux/namespace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/linux/openat2.h"
#include "core/linux/pidfd.h"

namespace berth::sys {
namespace {

ino_t inode_of(int fd) {
  struct stat info {};
  EXPECT_EQ(::fstat(fd, &info), 0);
  return info.st_ino;
}
ino_t own(const char* kind) {
  return inode_of(open_own_namespace(kind).value().get());
}

TEST(Namespaces, AreNewAndTheThreadReturnsToItsOwn) {
  const ino_t before[] = {own("net"), own("ipc"), own("uts")};
  const NamespaceSet set = make_namespaces(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS).value();
  EXPECT_EQ(own("net"), before[0]);
  EXPECT_EQ(own("ipc"), before[1]);
  EXPECT_EQ(own("uts"), before[2]);
  EXPECT_NE(inode_of(set.netns.get()), before[0]);
  EXPECT_NE(inode_of(set.ipc.get()), before[1]);
  EXPECT_NE(inode_of(set.uts.get()), before[2]);
}

TEST(Namespaces, OnlyRequestedNamespacesAreMade) {
  const NamespaceSet set = make_namespaces(CLONE_NEWUTS).value();
  EXPECT_FALSE(set.netns.valid());
  EXPECT_FALSE(set.ipc.valid());
  EXPECT_TRUE(set.uts.valid());
}

TEST(Namespaces, LoopbackIsUp) {
  const NamespaceSet set = make_namespaces(CLONE_NEWNET).value();
  const NamespaceVisit visit = NamespaceVisit::enter(set.netns.get(), CLONE_NEWNET).value();
  const std::string table = read_small_file(AT_FDCWD, "/proc/thread-self/net/if_inet6").value();
  EXPECT_NE(table.find("lo"), std::string::npos) << "an address of lo means that it is up";
}

TEST(Namespaces, HostnameIsSetInTheNewNamespaceOnly) {
  utsname before{};
  ::uname(&before);
  const NamespaceSet set = make_namespaces(CLONE_NEWUTS).value();
  ASSERT_TRUE(set_hostname_in(set.uts.get(), "elsewhere").ok());
  utsname after{};
  ::uname(&after);
  EXPECT_STREQ(after.nodename, before.nodename);
  const NamespaceVisit visit = NamespaceVisit::enter(set.uts.get(), CLONE_NEWUTS).value();
  ::uname(&after);
  EXPECT_STREQ(after.nodename, "elsewhere");
}

TEST(Namespaces, AProcessThatHasEndedHasNone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const UniqueFd pidfd = pidfd_open(child).value();
  const UniqueFd pid = open_namespace_of(child, pidfd.get(), "pid").value();
  EXPECT_EQ(inode_of(pid.get()), own("pid"));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(open_namespace_of(child, pidfd.get(), "pid").error().code, Errc::not_found);
  // Another process may have the number now.
  EXPECT_EQ(open_namespace_of(::getpid(), pidfd.get(), "pid").error().code, Errc::not_found);
}

TEST(Namespaces, WrongDescriptorIsAnError) {
  const UniqueFd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(NamespaceVisit::enter(file.get(), CLONE_NEWNET).ok());
}

}  // namespace
}  // namespace berth::sys
