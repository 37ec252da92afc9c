// SPDX-License-Identifier: Apache-2.0
// The kernel judges the filters: each is installed in a child process, which then makes a call.
#include "core/linux/seccomp/seccomp.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
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
#include "core/linux/seccomp/compact.h"
#include "tests/support/seccomp_programs.h"

namespace berth::sys {
namespace {

constexpr int kKilled = 1000;
constexpr int kNotInstalled = 1001;

enum class Abi { x86_64, i386, x32 };
constexpr Abi kAbis[] = {Abi::x86_64, Abi::i386, Abi::x32};
constexpr long kX32Bit = 0x40000000;

// A call through the 32-bit entry of the kernel, from a 64-bit program.
long by_interrupt(long number, long first, long second) {
#ifdef __x86_64__
  int result = static_cast<int>(number);
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(static_cast<int>(first)), "c"(static_cast<int>(second)), "d"(0), "S"(0), "D"(0)
               : "r8", "r9", "r10", "r11", "memory");
  if (result < 0 && result > -4096) errno = -result;
  return result;
#else
  static_cast<void>(number), static_cast<void>(first), static_cast<void>(second);
  errno = ENOTSUP;
  return -1;
#endif
}

// On a kernel without this entry the interrupt is a fault.
bool has_32_bit_entry() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(by_interrupt(20, 0, 0) == ::getpid() ? 0 : 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

long call(Abi abi, long number, long first, long second) {
  if (abi == Abi::i386) return by_interrupt(number, first, second);
  return ::syscall(abi == Abi::x32 ? number | kX32Bit : number, first, second, 0, 0, 0, 0);
}

// The errno of the call under `program`; 0 when it was allowed.
int under(SeccompInstructions program, long number, long first = 0, long second = 0,
          Abi abi = Abi::x86_64) {
  const pid_t child = ::fork();
  if (child == 0) {
    sock_fprog filter{static_cast<unsigned short>(program.size()),
                      reinterpret_cast<sock_filter*>(program.data())};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) ::_exit(255);
    const long result = call(abi, number, first, second);
    // An allowed clone also returns in its child.
    if (number == SYS_clone && result == 0) ::_exit(0);
    ::_exit(result < 0 ? errno : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return kKilled;
  return WEXITSTATUS(status) == 255 ? kNotInstalled : WEXITSTATUS(status);
}

// The filter's verdict on a call, even if this kernel does not support its ABI.
std::uint32_t verdict(const SeccompInstructions& program, Abi abi, std::uint32_t number,
                      std::uint64_t first = 0) {
  SeccompCall call{abi == Abi::i386 ? AUDIT_ARCH_I386 + 0U : AUDIT_ARCH_X86_64 + 0U,
                   abi == Abi::x32 ? number | static_cast<std::uint32_t>(kX32Bit) : number,
                   {}};
  call.arguments[0] = first;
  return judge(program, call).value();
}
constexpr std::uint32_t kRefused = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kAbsent = SECCOMP_RET_ERRNO | ENOSYS;

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

TEST(RuntimeDefault, ArgumentsAreFiltered) {
  EXPECT_EQ(under(by_default(), SYS_personality, 0xffffffff), 0);
  EXPECT_EQ(under(by_default(), SYS_personality, 0x0400000), EPERM);
  EXPECT_EQ(under(by_default(), SYS_socket, AF_UNIX, SOCK_STREAM), 0);
  EXPECT_EQ(under(by_default(), SYS_socket, AF_VSOCK, SOCK_STREAM), EPERM);
}

// socket and personality take an int: the kernel ignores the upper half of the register.
TEST(RuntimeDefault, IntArgumentsAreComparedAsTheKernelTakesThem) {
  constexpr long kAbove = 1L << 32;
  for (const long above : {0L, kAbove, 7 * kAbove, -kAbove}) {
    EXPECT_EQ(under(by_default(), SYS_socket, above | AF_VSOCK, SOCK_STREAM), EPERM) << above;
    EXPECT_EQ(under(by_default(), SYS_socket, above | AF_ALG, SOCK_SEQPACKET), EPERM) << above;
    EXPECT_EQ(under(by_default(), SYS_socket, above | AF_UNIX, SOCK_STREAM), 0) << above;
    EXPECT_EQ(under(by_default(), SYS_personality, above | 0xffffffff), 0) << above;
    EXPECT_EQ(under(by_default(), SYS_personality, above | 0x0400000), EPERM) << above;
  }
}

TEST(RuntimeDefault, ArgumentsAreFilteredInEveryInterface) {
  const SeccompInstructions program = by_default();
  constexpr std::uint64_t kAbove = std::uint64_t{1} << 32;
  struct {
    Abi abi;
    std::uint32_t socket;
    std::uint32_t personality;
  } const calls[] = {{Abi::x86_64, 41, 135}, {Abi::i386, 359, 136}, {Abi::x32, 41, 135}};
  for (const auto& numbers : calls) {
    EXPECT_EQ(verdict(program, numbers.abi, numbers.socket, AF_VSOCK), kRefused);
    EXPECT_EQ(verdict(program, numbers.abi, numbers.socket, AF_ALG), kRefused);
    EXPECT_EQ(verdict(program, numbers.abi, numbers.socket, AF_INET), SECCOMP_RET_ALLOW);
    for (const std::uint64_t allowed : {0U, 0x8U, 0x20000U, 0x20008U, 0xffffffffU}) {
      EXPECT_EQ(verdict(program, numbers.abi, numbers.personality, allowed), SECCOMP_RET_ALLOW);
      EXPECT_EQ(verdict(program, numbers.abi, numbers.personality, allowed ^ 1), kRefused);
      EXPECT_EQ(verdict(program, numbers.abi, numbers.personality, allowed ^ 0x40000), kRefused);
    }
    if (numbers.abi == Abi::i386) continue;  // it has no upper half
    EXPECT_EQ(verdict(program, numbers.abi, numbers.socket, kAbove | AF_VSOCK), kRefused);
  }
  EXPECT_EQ(under(program, SYS_socket, AF_VSOCK, SOCK_STREAM, Abi::x32), EPERM);
  EXPECT_EQ(under(program, SYS_socket, (1L << 32) | AF_VSOCK, SOCK_STREAM, Abi::x32), EPERM);
  if (!has_32_bit_entry()) GTEST_SKIP() << "no 32 bit entry in this kernel";
  EXPECT_EQ(under(program, 359, AF_VSOCK, SOCK_STREAM, Abi::i386), EPERM);
  EXPECT_EQ(under(program, 359, AF_ALG, SOCK_SEQPACKET, Abi::i386), EPERM);
  EXPECT_EQ(under(program, 359, AF_UNIX, SOCK_STREAM, Abi::i386), 0);
  EXPECT_EQ(under(program, 136, 0x0400000, 0, Abi::i386), EPERM);
}

TEST(RuntimeDefault, CallsNewerThanTheFilterDoNotExist) {
  EXPECT_EQ(under(by_default(), 2000), ENOSYS);
  EXPECT_EQ(under(by_default(), -1), EPERM) << "-1 is not a newer call";
  EXPECT_EQ(under(by_default(), 2000, 0, 0, Abi::x32), ENOSYS);
  for (const Abi abi : kAbis) {
    // The first number that the table does not have, one far above, and the largest possible.
    for (const std::uint32_t number : {467U, 511U, 600U, 2000U, 0x3fffffffU}) {
      EXPECT_EQ(verdict(by_default(), abi, number), kAbsent) << number;
    }
  }
  // execveat of x32, which has a number of its own there.
  EXPECT_EQ(verdict(by_default(), Abi::x32, 545), SECCOMP_RET_ALLOW);
  if (!has_32_bit_entry()) GTEST_SKIP() << "no 32 bit entry in this kernel";
  EXPECT_EQ(under(by_default(), 2000, 0, 0, Abi::i386), ENOSYS);
  EXPECT_EQ(under(by_default(), 467, 0, 0, Abi::i386), ENOSYS);
  EXPECT_EQ(under(by_default(), 21, 0, 0, Abi::i386), EPERM) << "mount is known and refused";
}

// The list of docs/decisions/0012: calls that the peers allow, by number, because the libseccomp of
// Debian 12 does not know all their names.
TEST(RuntimeDefault, RecentCallsPassInEveryInterface) {
  const SeccompInstructions program = by_default();
  for (const Abi abi : kAbis) {
    // cachestat 451 … removexattrat 466
    for (std::uint32_t number = 451; number <= 466; ++number) {
      EXPECT_EQ(verdict(program, abi, number), SECCOMP_RET_ALLOW) << number;
    }
  }
  for (const long number : {SYS_process_vm_readv, SYS_process_vm_writev, SYS_name_to_handle_at}) {
    EXPECT_EQ(verdict(program, Abi::x86_64, static_cast<std::uint32_t>(number)), SECCOMP_RET_ALLOW);
  }
  EXPECT_EQ(verdict(program, Abi::x86_64, 335), SECCOMP_RET_ALLOW) << "uretprobe";
  EXPECT_EQ(verdict(program, Abi::x32, 335), kRefused);
  EXPECT_NE(under(program, 454 /* futex_wake */, 0, 0), EPERM);
  EXPECT_NE(under(program, 462 /* mseal */, 1, 1), EPERM);
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

// A name that libseccomp does not know must still be filtered as the profile says.
TEST(Profile, NewerCallsAreFilteredToo) {
  const SeccompInstructions refuses = profile_program(R"({"defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
      {"names": ["mseal"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77},
      {"names": ["futex_wake"], "action": "SCMP_ACT_ERRNO", "errnoRet": 78,
       "args": [{"index": 0, "value": 4294967297, "op": "SCMP_CMP_GE"}]}]})",
                                                      0)
                                          .value();
  EXPECT_EQ(under(refuses, 462), 77);
  EXPECT_EQ(under(refuses, 454, 4294967297L), 78);
  EXPECT_NE(under(refuses, 454, 4294967296L), 78);
  EXPECT_EQ(verdict(refuses, Abi::x86_64, 2000), SECCOMP_RET_ALLOW);
  const SeccompInstructions allows = profile_program(R"({"defaultAction": "SCMP_ACT_KILL_PROCESS",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    "syscalls": [{"names": ["exit_group", "mseal"], "action": "SCMP_ACT_ALLOW"}]})",
                                                     0)
                                         .value();
  EXPECT_EQ(verdict(allows, Abi::i386, 462), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(allows, Abi::i386, 463), kAbsent);
  EXPECT_EQ(verdict(allows, Abi::x86_64, 461), SECCOMP_RET_KILL_PROCESS);
}

// The OCI specification and its runtimes compare all 64 bits. A profile that means an int masks
// them.
TEST(Profile, ComparesAllBitsUnlessItMasksThem) {
  const SeccompInstructions program = profile_program(R"({"defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
      {"names": ["dup"], "action": "SCMP_ACT_ERRNO",
       "args": [{"index": 0, "value": 99, "op": "SCMP_CMP_EQ"}]},
      {"names": ["fsync"], "action": "SCMP_ACT_ERRNO", "args": [
       {"index": 0, "value": 4294967295, "valueTwo": 99, "op": "SCMP_CMP_MASKED_EQ"}]}]})",
                                                      0)
                                          .value();
  EXPECT_EQ(under(program, SYS_dup, 99), EPERM);
  EXPECT_EQ(under(program, SYS_dup, (1L << 32) | 99), EBADF);
  EXPECT_EQ(under(program, SYS_fsync, (1L << 32) | 99), EPERM);
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
