// SPDX-License-Identifier: Apache-2.0
#include "core/ring/waitid.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <memory>

#include "core/ring/with_deadline.h"
#include "tests/core/ring/fake_backend.h"
#include "tests/core/ring/fixture.h"

namespace berth {
namespace {

struct Child {
  pid_t pid;
  UniqueFd pidfd;
};

// A child that waits to be told its exit code, or to be killed.
Child start_child(int read_fd) {
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    char code = 0;
    ::_exit(::read(read_fd, &code, 1) == 1 ? code : 99);
  }
  return Child{pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)))};
}

std::unique_ptr<Ring> ring_without_waitid() {
  FakeBackend::Faults faults{.late = 20, .waitid = false};
  return MUST(Ring::create(std::make_unique<FakeBackend>(faults), Ring::Options{}));
}

void expect_exit_and_kill_seen(Ring& ring) {
  Pair pipe = make_pipe();
  Child exits = start_child(pipe.read.get());
  ASSERT_EQ(::write(pipe.write.get(), "\x07", 1), 1);
  Result<siginfo_t> exited = ring.run_until(waitid_pidfd(ring, exits.pidfd.get()));
  ASSERT_TRUE(exited.ok()) << exited.error().message();
  EXPECT_EQ(exited->si_pid, exits.pid);
  EXPECT_EQ(exited->si_code, CLD_EXITED);
  EXPECT_EQ(exited->si_status, 7);

  Child dies = start_child(pipe.read.get());
  ::kill(dies.pid, SIGKILL);
  Result<siginfo_t> killed = ring.run_until(waitid_pidfd(ring, dies.pidfd.get()));
  ASSERT_TRUE(killed.ok());
  EXPECT_EQ(killed->si_code, CLD_KILLED);
  EXPECT_EQ(killed->si_status, SIGKILL);

  Result<siginfo_t> again = ring.run_until(waitid_pidfd(ring, dies.pidfd.get()));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().sys_errno, ECHILD);
  EXPECT_EQ(again.error().op, "waitid");
}

TEST(Waitid, GivesExitAndSignal) {
  std::unique_ptr<Ring> ring = MUST(Ring::create());
  expect_exit_and_kill_seen(*ring);
}

TEST(Waitid, GivesTheSameWithoutTheOpcode) {
  std::unique_ptr<Ring> ring = ring_without_waitid();
  EXPECT_FALSE(ring->has_opcode(kOpWaitid));
  expect_exit_and_kill_seen(*ring);
}

TEST(Waitid, IsCancelledByADeadlineAndTheChildCanBeWaitedForAgain) {
  std::unique_ptr<Ring> ring = MUST(Ring::create());
  Pair pipe = make_pipe();
  Child child = start_child(pipe.read.get());
  Result<siginfo_t> late = ring->run_until(
      with_deadline(*ring, Deadline::after_ms(10), waitid_pidfd(*ring, child.pidfd.get())));
  EXPECT_EQ(late.error().code, Errc::deadline_exceeded);
  ::kill(child.pid, SIGKILL);
  EXPECT_TRUE(ring->run_until(waitid_pidfd(*ring, child.pidfd.get())).ok());
}

}  // namespace
}  // namespace berth
