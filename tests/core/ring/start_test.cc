// SPDX-License-Identifier: Apache-2.0
// The error of a ring that cannot be made tells what to do about it.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "core/ring/probe.h"
#include "core/ring/raw.h"
#include "core/ring/ring.h"

namespace berth {
namespace {

void refuse_io_uring_setup(int with_errno) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(with_errno)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{sizeof program / sizeof program[0], program};
  CHECK(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
}

// The message of Ring::create in a child whose io_uring_setup fails with this errno.
std::string message_when_refused(int with_errno) {
  int fds[2] = {-1, -1};
  CHECK(::pipe(fds) == 0);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    refuse_io_uring_setup(with_errno);
    Result<std::unique_ptr<Ring>> made = Ring::create();
    const std::string text = made.ok() ? "made" : made.error().message();
    ::_exit(::write(fds[1], text.data(), text.size()) > 0 ? 0 : 1);
  }
  ::close(fds[1]);
  std::string text(1024, '\0');
  const ssize_t size = ::read(fds[0], text.data(), text.size());
  ::close(fds[0]);
  int status = 0;
  CHECK(::waitpid(pid, &status, 0) == pid && status == 0);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

TEST(RingStart, PermissionDeniedPointsAtTheSeccompFilterOrTheSysctl) {
  const std::string text = message_when_refused(EPERM);
  EXPECT_NE(text.find("io_uring_setup"), std::string::npos) << text;
  EXPECT_NE(text.find("kernel.io_uring_disabled"), std::string::npos) << text;
  EXPECT_NE(text.find("seccomp"), std::string::npos) << text;
  EXPECT_NE(text.find("EPERM"), std::string::npos) << text;
}

TEST(RingStart, AMissingSystemCallPointsAtTheKernelOrTheSeccompFilter) {
  const std::string text = message_when_refused(ENOSYS);
  EXPECT_NE(text.find("CONFIG_IO_URING"), std::string::npos) << text;
  EXPECT_NE(text.find("seccomp"), std::string::npos) << text;
  EXPECT_NE(text.find("6.1"), std::string::npos) << text;
}

TEST(RingStart, AMissingFeatureIsNamedWithItsKernel) {
  EXPECT_TRUE(check_features(~0U).ok());
  Status checked = check_features(~0U & ~IORING_FEAT_EXT_ARG);
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code, Errc::failed_precondition);
  EXPECT_NE(checked.error().message().find("IORING_FEAT_EXT_ARG (Linux 5.11)"), std::string::npos);
}

TEST(RingStart, AMissingOpcodeIsNamedWithItsKernel) {
  RawRing not_probed;  // supports no opcode
  Status checked = check_opcodes(not_probed);
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(checked.error().message().find("IORING_OP_READ (Linux 5.6)"), std::string::npos);
}

TEST(RawRing, TakesMoreSubmissionsThanItHasEntries) {
  RawRing ring;
  ASSERT_TRUE(ring.init({.entries = 4, .cq_entries = 8}).ok());
  constexpr unsigned kMany = 100;
  unsigned completed = 0;
  std::uint64_t sum = 0;
  auto take = [&completed, &sum](std::uint64_t user_data, int res, unsigned) {
    EXPECT_EQ(res, 0);
    ++completed;
    sum += user_data;
  };
  for (unsigned i = 1; i <= kMany; ++i) {
    io_uring_sqe* sqe = ring.get_sqe();
    while (sqe == nullptr) {
      ring.for_each_cqe(take);
      sqe = ring.get_sqe();
    }
    io_uring_prep_nop(sqe);
    sqe->user_data = i;
  }
  while (completed < kMany) {
    ASSERT_EQ(ring.submit_and_wait(1), 0);
    ring.for_each_cqe(take);
  }
  EXPECT_EQ(sum, kMany * (kMany + 1) / 2);
}

TEST(RawRing, TheTimeLimitOfAWaitIsKept) {
  RawRing ring;
  ASSERT_TRUE(ring.init({}).ok());
  const std::int64_t start_ns = monotonic_now_ns();
  EXPECT_EQ(ring.submit_and_wait(1, 10'000'000), -ETIME);
  EXPECT_GE(monotonic_now_ns() - start_ns, 10'000'000);
}

TEST(RawRing, IsNotInheritedByAChild) {
  RawRing ring;
  ASSERT_TRUE(ring.init({}).ok());
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    // madvise(MADV_DONTFORK): the child does not have the page, so mincore fails.
    unsigned char present = 0;
    const long page = ::sysconf(_SC_PAGESIZE);
    auto address = reinterpret_cast<std::uintptr_t>(ring.get()->sq.sqes) & ~(page - 1UL);
    ::_exit(::mincore(reinterpret_cast<void*>(address), 1, &present) == -1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace berth
