// SPDX-License-Identifier: Apache-2.0
// The ring over the fake kernel: whatever the kernel does, every byte arrives once and in order,
// every task ends, and no operation of the test is left in the kernel.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/ring/ring.h"
#include "core/ring/with_deadline.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "tests/core/ring/fake_backend.h"
#include "tests/core/ring/nop.h"

namespace berth {
namespace {

constexpr unsigned kSeeds = 200;

std::unique_ptr<Ring> make_ring(FakeBackend::Faults faults) {
  return MUST(Ring::create(std::make_unique<FakeBackend>(faults), Ring::Options{}));
}

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

Pipe make_pipe() {
  int fds[2] = {-1, -1};
  CHECK(::pipe2(fds, O_CLOEXEC) == 0);
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string pattern(std::size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i * 31 + seed) % 127);
  return bytes;
}

Task<void> write_all(Ring& ring, UniqueFd fd, std::string bytes) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    int n = co_await ring.write(fd.get(), rest);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  co_await ring.close(std::move(fd));
}

Task<void> read_all(Ring& ring, UniqueFd fd, std::string* into) {
  std::vector<char> buffer(257);
  for (;;) {
    int n = co_await ring.read(fd.get(), buffer);
    if (n == 0) break;
    into->append(buffer.data(), static_cast<std::size_t>(n));
  }
}

Task<void> close_scope(Scope& scope) {
  co_await scope.close();
}

void expect_quiet(Ring& ring) {
  EXPECT_EQ(ring.counters().queued, 0U);
  EXPECT_EQ(ring.counters().in_kernel, 1U);  // the ring's own poll
  EXPECT_EQ(ring.timers().size(), 0U);
}

FakeBackend::Faults all_faults(unsigned seed) {
  return {.seed = seed,
          .short_transfer = 50,
          .interrupted = 20,
          .late = 30,
          .cancel_loses = 30,
          .enter_interrupted = 10,
          .takes_nothing = 10,
          .entries = 2};
}

TEST(RingFault, EveryByteArrivesOnceAndInOrder) {
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::unique_ptr<Ring> ring = make_ring(all_faults(seed));
    std::vector<std::string> failures;
    Scope scope(ring->ready(), [&failures](Error error) { failures.push_back(error.message()); });
    std::array<std::string, 3> received;
    for (unsigned i = 0; i < received.size(); ++i) {
      Pipe pipe = make_pipe();
      scope.spawn(write_all(*ring, std::move(pipe.write), pattern(3000, i)));
      scope.spawn(read_all(*ring, std::move(pipe.read), &received[i]));
    }
    ASSERT_TRUE(ring->run_until(close_scope(scope)).ok());
    EXPECT_EQ(failures, std::vector<std::string>());
    for (unsigned i = 0; i < received.size(); ++i) EXPECT_TRUE(received[i] == pattern(3000, i));
    expect_quiet(*ring);
  }
}

Task<void> note_end(Task<void> task, std::vector<Errc>* ends) {
  Result<void> outcome = co_await std::move(task).result();
  ends->push_back(outcome.ok() ? Errc{} : outcome.error().code);
}

Task<void> cancel_after(Ring& ring, Scope& scope, unsigned turns) {
  for (unsigned i = 0; i < turns; ++i) {
    co_await nop(ring);
  }
  scope.cancel();
}

TEST(RingFault, ACancelThatRacesItsTargetEndsEveryTaskOnce) {
  ::signal(SIGPIPE, SIG_IGN);  // writers whose reader was cancelled
  for (unsigned seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::unique_ptr<Ring> ring = make_ring(all_faults(seed));
    Scope workers(ring->ready(), nullptr);
    Scope cancels(ring->ready(), nullptr);
    std::vector<Errc> ends;
    std::array<std::string, 4> received;
    std::vector<UniqueFd> held;  // never written: these reads end by cancellation only
    for (unsigned i = 0; i < received.size(); ++i) {
      Pipe pipe = make_pipe();
      workers.spawn(note_end(read_all(*ring, std::move(pipe.read), &received[i]), &ends));
      if (i % 2 == 0) {
        workers.spawn(note_end(write_all(*ring, std::move(pipe.write), pattern(2000, i)), &ends));
      } else {
        held.push_back(std::move(pipe.write));
      }
    }
    cancels.spawn(cancel_after(*ring, workers, seed % 17));
    ASSERT_TRUE(ring->run_until(close_scope(workers)).ok());
    ASSERT_TRUE(ring->run_until(close_scope(cancels)).ok());
    EXPECT_EQ(ends.size(), 6U);
    for (Errc end : ends)
      EXPECT_TRUE(end == Errc{} || end == Errc::cancelled || end == Errc::unavailable);
    for (unsigned i = 0; i < received.size(); ++i) {
      EXPECT_EQ(received[i], pattern(2000, i).substr(0, received[i].size()));
    }
    expect_quiet(*ring);
  }
}

TEST(RingFault, AnInterruptedOperationIsSubmittedAgain) {
  std::unique_ptr<Ring> ring = make_ring({.interrupted = 90});
  std::string received;
  Pipe pipe = make_pipe();
  ASSERT_EQ(::write(pipe.write.get(), "abc", 3), 3);
  pipe.write.reset();
  ASSERT_TRUE(ring->run_until(read_all(*ring, std::move(pipe.read), &received)).ok());
  EXPECT_EQ(received, "abc");
  EXPECT_GT(ring->counters().submitted, 4U);
}

Task<void> await_nop(Ring& ring, unsigned* ended) {
  co_await nop(ring);
  ++*ended;
}

TEST(RingFault, AnOverflowedCompletionQueueLosesNothing) {
  auto backend = std::make_unique<FakeBackend>(FakeBackend::Faults{.entries = 4, .cq_entries = 3});
  FakeBackend& fake = *backend;
  std::unique_ptr<Ring> ring = MUST(Ring::create(std::move(backend), Ring::Options{}));
  Scope scope(ring->ready(), nullptr);
  unsigned ended = 0;
  for (int i = 0; i < 100; ++i) scope.spawn(await_nop(*ring, &ended));
  ring->post([] {});
  ASSERT_TRUE(ring->run_until(close_scope(scope)).ok());
  EXPECT_EQ(ended, 100U);
  EXPECT_GT(fake.overflows(), 50U);
  expect_quiet(*ring);
}

TEST(RingFault, APostIsSeenAfterTheWakePollWasEndedByAnOverflow) {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    std::unique_ptr<Ring> ring =
        make_ring({.seed = seed, .late = 50, .entries = 4, .cq_entries = 1});
    Scope scope(ring->ready(), nullptr);
    unsigned ended = 0;
    for (int i = 0; i < 20; ++i) scope.spawn(await_nop(*ring, &ended));
    ring->turn(false);
    bool posted = false;
    ring->post([&posted] { posted = true; });
    ASSERT_TRUE(ring->run_until(close_scope(scope)).ok());
    bool again = false;
    ring->post([&again, &ring] {
      again = true;
      ring->stop();
    });
    ring->run();
    EXPECT_TRUE(posted && again);
    expect_quiet(*ring);
  }
}

Task<void> read_once(Ring& ring, int fd) {
  std::array<char, 8> buffer;
  co_await ring.read(fd, buffer);
}

TEST(RingFault, ADeadlineWaitsUntilTheKernelGaveTheBufferBack) {
  for (unsigned seed = 1; seed <= 30; ++seed) {
    std::unique_ptr<Ring> ring = make_ring({.seed = seed, .late = 50, .cancel_loses = 100});
    Pipe pipe = make_pipe();
    Result<void> outcome = ring->run_until(
        with_deadline(*ring, Deadline::after_ms(1), read_once(*ring, pipe.read.get())));
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, Errc::deadline_exceeded);
    EXPECT_EQ(outcome.error().op, "read");
    expect_quiet(*ring);
  }
}

}  // namespace
}  // namespace berth
