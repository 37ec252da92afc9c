// SPDX-License-Identifier: Apache-2.0
// Filters judged by the kernel: each is installed in a child that then tries.
#include "core/linux/seccomp.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/linux/capability.h"

namespace berth::sys {
namespace {

constexpr int kKilled = 1000;
constexpr int kNotInstalled = 1001;

// The errno of the call under `program`, 0 when it was let through.
int under(SeccompInstructions program, long number, long first = 0, long second = 0) {
  const pid_t child = ::fork();
  if (child == 0) {
    sock_fprog filter{static_cast<unsigned short>(program.size()),
                      reinterpret_cast<sock_filter*>(program.data())};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) ::_exit(255);
    const long result = ::syscall(number, first, second, 0, 0, 0, 0);
    // A clone that was let through comes back twice.
    if (number == SYS_clone && result == 0) ::_exit(0);
    ::_exit(result < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return kKilled;
  return WEXITSTATUS(status) == 255 ? kNotInstalled : WEXITSTATUS(status);
}

SeccompInstructions by_default(std::uint64_t capabilities = 0) {
  return runtime_default_program(capabilities).value();
}

TEST(RuntimeDefault, OrdinaryCallsPass) {
  EXPECT_EQ(under(by_default(), SYS_getpid), 0);
  EXPECT_EQ(under(by_default(), SYS_close, 99), EBADF);
  EXPECT_EQ(under(by_default(), SYS_openat2, -1, 0), EINVAL);
}

TEST(RuntimeDefault, DangerousCallsAreNotPermitted) {
  for (const long number :
       {SYS_kexec_load, SYS_init_module, SYS_mount, SYS_unshare, SYS_setns, SYS_bpf,
        SYS_perf_event_open, SYS_io_uring_setup, SYS_keyctl, SYS_add_key, SYS_userfaultfd,
        SYS_reboot, SYS_swapon, SYS_fsopen, SYS_open_by_handle_at, SYS_settimeofday, SYS_syslog}) {
    EXPECT_EQ(under(by_default(), number, -1, -1), EPERM) << number;
  }
}

TEST(RuntimeDefault, CapabilitiesOpenTheirCalls) {
  EXPECT_EQ(under(by_default(capability_bit(CAP_SYS_ADMIN)), SYS_setns, -1, 0), EBADF);
  EXPECT_EQ(under(by_default(capability_bit(CAP_SYS_ADMIN)), SYS_unshare, 0), 0);
  EXPECT_EQ(under(by_default(capability_bit(CAP_SYSLOG)), SYS_syslog, 99), EINVAL);
}

TEST(RuntimeDefault, CloneIsAllowedForThreadsAndForksButNotForNamespaces) {
  EXPECT_EQ(under(by_default(), SYS_clone, SIGCHLD), 0);
  EXPECT_EQ(under(by_default(), SYS_clone, CLONE_NEWUSER | SIGCHLD), EPERM);
  EXPECT_EQ(under(by_default(), SYS_clone, CLONE_NEWNET | CLONE_NEWNS | SIGCHLD), EPERM);
  EXPECT_EQ(under(by_default(), SYS_clone3), ENOSYS) << "libcs then fall back to clone";
  EXPECT_EQ(under(by_default(capability_bit(CAP_SYS_ADMIN)), SYS_clone3), EINVAL);
}

TEST(RuntimeDefault, ArgumentsAreLookedAt) {
  EXPECT_EQ(under(by_default(), SYS_personality, 0xffffffff), 0);
  EXPECT_EQ(under(by_default(), SYS_personality, 0x0400000), EPERM);
  EXPECT_EQ(under(by_default(), SYS_socket, AF_UNIX, SOCK_STREAM), 0);
  EXPECT_EQ(under(by_default(), SYS_socket, AF_VSOCK, SOCK_STREAM), EPERM);
}

TEST(RuntimeDefault, CallsNewerThanTheFilterDoNotExist) {
  EXPECT_EQ(under(by_default(), 2000), ENOSYS);
  EXPECT_EQ(under(by_default(), -1), EPERM) << "that is no newer call";
}

TEST(Profile, DockersFormWithIncludesAndArguments) {
  const char* const text = R"({
    "defaultAction": "SCMP_ACT_ALLOW",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
      {"names": ["getppid", "call_of_the_future"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77},
      {"names": ["dup"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 99, "op": "SCMP_CMP_EQ"}]},
      {"names": ["getuid"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["CAP_SYS_BOOT"]}},
      {"names": ["getgid"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_BOOT"]}},
      {"names": ["getsid"], "action": "SCMP_ACT_KILL_PROCESS", "includes": {"minKernel": "4.8"}},
      {"name": "getpgrp", "action": "SCMP_ACT_ERRNO", "includes": {"minKernel": "99.0"}}]})";
  const SeccompInstructions program = profile_program(text, 0).value();
  EXPECT_EQ(under(program, SYS_getppid), 77);
  EXPECT_EQ(under(program, SYS_dup, 99), EPERM);
  EXPECT_EQ(under(program, SYS_dup, 98), EBADF);
  EXPECT_EQ(under(program, SYS_getuid), 0);
  EXPECT_EQ(under(program, SYS_getgid), EPERM);
  EXPECT_EQ(under(program, SYS_getsid), kKilled);
  EXPECT_EQ(under(program, SYS_getpgrp), 0);
  const SeccompInstructions other = profile_program(text, capability_bit(CAP_SYS_BOOT)).value();
  EXPECT_EQ(under(other, SYS_getuid), EPERM);
  EXPECT_EQ(under(other, SYS_getgid), 0);
}

TEST(Profile, MistakesAreNamed) {
  const auto message = [](const char* text) {
    Result<SeccompInstructions> program = profile_program(text, 0);
    return program.ok() ? std::string() : program.error().message();
  };
  EXPECT_NE(message("no json").find("not a JSON object"), std::string::npos);
  EXPECT_NE(message("[]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(message(R"({"defaultAction": "SCMP_ACT_DANCE"})").find("SCMP_ACT_DANCE"),
            std::string::npos);
  EXPECT_NE(message(R"({"defaultAction": 7})").find("defaultAction"), std::string::npos);
  EXPECT_NE(message(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["dup"],
      "action": "SCMP_ACT_ERRNO", "args": [{"index": 9, "op": "SCMP_CMP_EQ"}]}]})")
                .find("index 9"),
            std::string::npos);
  EXPECT_NE(message(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{}]})").find("names no"),
            std::string::npos);
  EXPECT_NE(
      message(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"})").find("listenerPath"),
      std::string::npos);
}

}  // namespace
}  // namespace berth::sys
