// SPDX-License-Identifier: Apache-2.0
#include "cri/container/seccomp_profiles.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>

#include "core/base/unique_fd.h"
#include "core/linux/capability.h"
#include "core/linux/seccomp/compact.h"
#include "tests/support/seccomp_programs.h"
#include "tests/support/temporary_dir.h"

namespace berth::cri {
namespace {

namespace v1 = runtime::v1;

class LocalhostProfiles : public ::testing::Test {
 protected:
  Result<sys::SeccompInstructions> program(const std::string& reference,
                                           std::uint64_t capabilities = 0) {
    v1::LinuxContainerSecurityContext security;
    security.mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
    security.mutable_seccomp()->set_localhost_ref(reference);
    TRY(const SeccompProfiles::Profile profile, profiles_.profile_of(security, capabilities));
    return compiled(*profile);
  }
  static std::uint32_t verdict(const sys::SeccompInstructions& program, long number) {
    return sys::judge(program, {AUDIT_ARCH_X86_64, static_cast<std::uint32_t>(number), {}}).value();
  }

  const TemporaryDir directory_;
  SeccompProfiles profiles_{directory_.path()};
};

// docker's own profile says so of chroot, reboot and many others.
TEST_F(LocalhostProfiles, ARuleForACapabilityIsForContainersThatHaveIt) {
  std::ofstream(directory_ / "docker.json") << R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}}]})";
  const std::uint64_t chroot = sys::capability_bit(CAP_SYS_CHROOT);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(verdict(program("docker.json", chroot).value(), SYS_chroot), SECCOMP_RET_ALLOW);
    EXPECT_NE(verdict(program("docker.json", 0).value(), SYS_chroot), SECCOMP_RET_ALLOW);
  }
}

TEST_F(LocalhostProfiles, AProfileThatIsNoFileIsRefusedWithoutBeingOpened) {
  const std::string path = directory_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const UniqueFd events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(events.get(), path.c_str(), IN_OPEN), 0);
  const Result<sys::SeccompInstructions> refused = program("fifo");
  ASSERT_FALSE(refused.ok());
  char event[4096];
  EXPECT_LT(::read(events.get(), event, sizeof event), 0) << "somebody opened it";
}

}  // namespace
}  // namespace berth::cri
