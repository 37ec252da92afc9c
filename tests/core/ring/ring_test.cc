// SPDX-License-Identifier: Apache-2.0
// The ring against the running kernel.
#include "core/ring/ring.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "core/task/scope.h"
#include "tests/core/ring/fixture.h"
#include "tests/support/temporary_dir.h"

namespace berth {
namespace {

using RingTest = RingFixture;

Task<std::string> read_some(Ring& ring, int fd) {
  std::array<char, 64> buffer;
  int n = co_await ring.read(fd, buffer);
  co_return std::string(buffer.data(), static_cast<std::size_t>(n));
}

Task<std::string> write_then_read(Ring& ring, Pair& pipe) {
  int wrote = co_await ring.write(pipe.write.get(), "hello");
  EXPECT_EQ(wrote, 5);
  std::string text = co_await read_some(ring, pipe.read.get());
  co_return text;
}

TEST_F(RingTest, WritesAndReadsAPipe) {
  Pair pipe = make_pipe();
  Result<std::string> text = ring().run_until(write_then_read(ring(), pipe));
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(*text, "hello");
}

Task<void> write_to(Ring& ring, int fd) {
  co_await ring.write(fd, "x");
}

TEST_F(RingTest, AnErrorNamesTheOperationAndTheFd) {
  Result<void> wrote = ring().run_until(write_to(ring(), 987));
  ASSERT_FALSE(wrote.ok());
  EXPECT_EQ(wrote.error().message(), "write `fd 987`: EBADF");
}

Task<void> work_on_files(Ring& ring, int dirfd) {
  co_await ring.mkdirat(dirfd, "dir", 0700);
  int opened = co_await ring.openat(dirfd, {"dir/file", O_CREAT | O_WRONLY, 0600});
  UniqueFd file(opened);
  EXPECT_EQ(::fcntl(opened, F_GETFD), FD_CLOEXEC);
  int wrote = co_await ring.write(opened, "abcd", 0);
  EXPECT_EQ(wrote, 4);
  co_await ring.fsync(opened);
  co_await ring.close(std::move(file));
  EXPECT_EQ(::fcntl(opened, F_GETFD), -1);
  co_await ring.renameat2({dirfd, "dir/file"}, {dirfd, "renamed"});
  struct stat info {};
  EXPECT_EQ(::fstatat(dirfd, "renamed", &info, 0), 0);
  EXPECT_EQ(info.st_size, 4);
  co_await ring.unlinkat(dirfd, "renamed");
  co_await ring.unlinkat(dirfd, "dir", AT_REMOVEDIR);
  Result<int> missing = co_await ring.openat(dirfd, {"renamed", O_RDONLY}).result();
  EXPECT_EQ(missing.error().message(), "openat `renamed`: ENOENT");
}

TEST_F(RingTest, FileOperationsHaveTheEffectOfTheirSystemCalls) {
  const TemporaryDir place;
  UniqueFd dir(::open(place.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  Result<void> worked = ring().run_until(work_on_files(ring(), dir.get()));
  EXPECT_TRUE(worked.ok()) << worked.error().message();
  EXPECT_TRUE(std::filesystem::is_empty(place.path()));
}

Task<int> poll_for(Ring& ring, int fd) {
  int events = co_await ring.poll(fd, POLLIN);
  co_return events;
}

TEST_F(RingTest, PollGivesTheEventsThatBecameTrue) {
  Pair pipe = make_pipe();
  std::thread writer([&pipe] {
    ::usleep(5'000);
    EXPECT_EQ(::write(pipe.write.get(), "x", 1), 1);
  });
  Result<int> events = ring().run_until(poll_for(ring(), pipe.read.get()));
  writer.join();
  ASSERT_TRUE(events.ok());
  EXPECT_EQ(*events & POLLIN, POLLIN);
}

Task<std::string> pass_a_message(Ring& ring, Pair& pair) {
  iovec out{const_cast<char*>("message"), 7};
  msghdr sent{};
  sent.msg_iov = &out;
  sent.msg_iovlen = 1;
  co_await ring.sendmsg(pair.write.get(), sent);
  std::array<char, 16> buffer;
  iovec in{buffer.data(), buffer.size()};
  msghdr received{};
  received.msg_iov = &in;
  received.msg_iovlen = 1;
  int n = co_await ring.recvmsg(pair.read.get(), received);
  co_await ring.send(pair.read.get(), std::string_view(buffer.data(), static_cast<std::size_t>(n)));
  std::array<char, 16> back;
  int m = co_await ring.recv(pair.write.get(), back);
  co_return std::string(back.data(), static_cast<std::size_t>(m));
}

TEST_F(RingTest, MessagesGoThroughASocketPairAndBack) {
  Pair pair = make_socket_pair();
  Result<std::string> text = ring().run_until(pass_a_message(ring(), pair));
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(*text, "message");
}

Task<void> sleep(Ring& ring, std::int64_t ms) {
  co_await ring.sleep_until(Deadline::after_ms(ms));
}

TEST_F(RingTest, SleepEndsNotBeforeItsDeadline) {
  const std::int64_t start_ns = monotonic_now_ns();
  ASSERT_TRUE(ring().run_until(sleep(ring(), 20)).ok());
  const std::int64_t took_ns = monotonic_now_ns() - start_ns;
  EXPECT_GE(took_ns, 20'000'000);
  EXPECT_LT(took_ns, 2'000'000'000);
}

TEST_F(RingTest, ADeadlineCancelsTheOperationAndNamesIt) {
  Pair pipe = make_pipe();
  Result<std::string> text = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(10), read_some(ring(), pipe.read.get())));
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, Errc::deadline_exceeded);
  EXPECT_EQ(text.error().op, "read");
  EXPECT_EQ(ring().counters().in_kernel, 1U);
  EXPECT_EQ(ring().timers().size(), 0U);
}

TEST_F(RingTest, ADeadlineThatIsMetLeavesNoTimer) {
  Pair pipe = make_pipe();
  Result<std::string> text = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(60'000), write_then_read(ring(), pipe)));
  EXPECT_TRUE(text.ok());
  EXPECT_EQ(ring().timers().size(), 0U);
}

Task<int> offload_id(Ring& ring) {
  int id = co_await offload(ring, []() -> Result<int> { return ::gettid(); });
  co_return id;
}

TEST_F(RingTest, OffloadRunsOnAnotherThread) {
  Result<int> id = ring().run_until(offload_id(ring()));
  ASSERT_TRUE(id.ok());
  EXPECT_NE(*id, ::gettid());
}

TEST_F(RingTest, StopEndsRunFromAnotherThread) {
  std::thread stopper([this] {
    ::usleep(5'000);
    ring().stop();
  });
  ring().run();
  stopper.join();
}

TEST_F(RingTest, AnIdleLoopNeverWakes) {
  Pair pipe = make_pipe();
  Scope scope(ring().ready(), nullptr);
  auto poll_forever = [](Ring& loop, int fd) -> Task<void> { co_await loop.poll(fd, POLLIN); };
  scope.spawn(poll_forever(ring(), pipe.read.get()));
  ring().turn(false);
  const std::uint64_t before = ring().counters().wakeups;
  std::thread stopper([this] {
    ::usleep(300'000);
    ring().stop();
  });
  ring().run();
  stopper.join();
  EXPECT_EQ(ring().counters().wakeups, before + 1);
  scope.cancel();
  close(scope);
}

}  // namespace
}  // namespace berth
