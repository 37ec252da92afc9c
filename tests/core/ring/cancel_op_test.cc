// SPDX-License-Identifier: Apache-2.0
// Cancelling an operation in the kernel: it ends soon, its error names it, and its memory is freed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"
#include "tests/core/ring/fixture.h"

namespace berth {
namespace {

using RingCancel = RingFixture;

Task<void> read_forever(Ring& ring, int fd) {
  std::array<char, 16> buffer;
  co_await ring.read(fd, buffer);
}
Task<void> recv_forever(Ring& ring, int fd) {
  std::array<char, 16> buffer;
  co_await ring.recv(fd, buffer);
}
Task<void> recvmsg_forever(Ring& ring, int fd) {
  std::array<char, 16> buffer;
  iovec part{buffer.data(), buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  co_await ring.recvmsg(fd, message);
}
Task<void> poll_forever(Ring& ring, int fd) {
  co_await ring.poll(fd, POLLIN);
}
Task<void> accept_forever(Ring& ring, int fd) {
  co_await ring.accept(fd);
}
Task<void> sleep_forever(Ring& ring, int) {
  co_await ring.sleep_until(Deadline::never());
}

UniqueFd make_listener() {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;  // no path: the kernel picks an abstract name
  CHECK(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) == 0);
  CHECK(::listen(listener.get(), 8) == 0);
  return listener;
}

struct Waiting {
  const char* op;
  Task<void> (*wait)(Ring&, int);
  int fd;
};

TEST_F(RingCancel, EveryWaitingOperationEndsWithItsName) {
  Pair pipe = make_pipe();
  Pair sockets = make_socket_pair();
  UniqueFd listener = make_listener();
  const Waiting cases[] = {
      {"read", &read_forever, pipe.read.get()},
      {"recv", &recv_forever, sockets.read.get()},
      {"recvmsg", &recvmsg_forever, sockets.read.get()},
      {"poll", &poll_forever, pipe.read.get()},
      {"accept", &accept_forever, listener.get()},
      {"sleep", &sleep_forever, -1},
  };
  for (const Waiting& given : cases) {
    RootTask<void> root(ring().ready(), given.wait(ring(), given.fd));
    ring().turn(false);
    ring().turn(false);
    EXPECT_FALSE(root.done()) << given.op;
    root.cancel();
    while (!root.done()) ring().turn(true);
    Result<void> outcome = root.take();
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, Errc::cancelled) << given.op;
    EXPECT_EQ(outcome.error().op, given.op);
  }
}

TEST_F(RingCancel, ACancelledOperationThatWasNotSubmittedIsNeverSubmitted) {
  Pair pipe = make_pipe();
  RootTask<void> root(ring().ready(), read_forever(ring(), pipe.read.get()));
  ring().ready().drain();
  const std::uint64_t before = ring().counters().submitted;
  EXPECT_EQ(ring().counters().queued, 2U);  // with the ring's own poll
  root.cancel();
  ring().ready().drain();
  EXPECT_TRUE(root.done());
  ring().turn(false);
  EXPECT_EQ(ring().counters().submitted, before + 1);
}

Task<void> close_it(Ring& ring, UniqueFd fd) {
  co_await ring.close(std::move(fd));
}

TEST_F(RingCancel, CloseIsFinishedEvenWhenTheTaskWasCancelledBefore) {
  Pair pipe = make_pipe();
  const int number = pipe.read.get();
  RootTask<void> root(ring().ready(), close_it(ring(), std::move(pipe.read)));
  root.cancel();
  while (!root.done()) ring().turn(true);
  EXPECT_TRUE(root.take().ok());
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

Task<int> accept_one(Ring& ring, int listener) {
  int socket = co_await ring.accept(listener);
  co_return socket;
}

Task<void> connect_to(Ring& ring, int listener, UniqueFd* client) {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  CHECK(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  client->reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  co_await ring.connect(client->get(), reinterpret_cast<sockaddr*>(&address), length);
}

TEST_F(RingCancel, AConnectionThatArrivedFirstIsNotLost) {
  UniqueFd listener = make_listener();
  UniqueFd client;
  RootTask<int> server(ring().ready(), accept_one(ring(), listener.get()));
  RootTask<void> peer(ring().ready(), connect_to(ring(), listener.get(), &client));
  while (!peer.done()) ring().turn(true);
  server.cancel();
  while (!server.done()) ring().turn(true);
  Result<int> socket = server.take();
  ASSERT_TRUE(socket.ok());
  UniqueFd owned(*socket);
  EXPECT_EQ(::fcntl(owned.get(), F_GETFD), FD_CLOEXEC);
}

Task<void> splice_all(Ring& ring, int from, int to) {
  int moved = co_await ring.splice({.source = from, .target = to, .length = 100});
  EXPECT_EQ(moved, 3);
}

TEST_F(RingCancel, SpliceMovesWithoutCopying) {
  Pair source = make_pipe();
  Pair target = make_pipe();
  ASSERT_EQ(::write(source.write.get(), "abc", 3), 3);
  ASSERT_TRUE(ring().run_until(splice_all(ring(), source.read.get(), target.write.get())).ok());
  std::array<char, 8> bytes;
  EXPECT_EQ(::read(target.read.get(), bytes.data(), bytes.size()), 3);
}

Task<void> nested_deadlines(Ring& ring, int fd) {
  co_await with_deadline(ring, Deadline::after_ms(5), read_forever(ring, fd));
}

TEST_F(RingCancel, TheInnerOfTwoDeadlinesEndsTheWait) {
  Pair pipe = make_pipe();
  const std::int64_t start_ns = monotonic_now_ns();
  Result<void> outcome = ring().run_until(
      with_deadline(ring(), Deadline::after_ms(60'000), nested_deadlines(ring(), pipe.read.get())));
  EXPECT_EQ(outcome.error().code, Errc::deadline_exceeded);
  EXPECT_LT(monotonic_now_ns() - start_ns, 10'000'000'000);
}

TEST_F(RingCancel, ACancelledDeadlineIsCancelledNotExceeded) {
  Pair pipe = make_pipe();
  RootTask<void> root(ring().ready(), with_deadline(ring(), Deadline::after_ms(60'000),
                                                    read_forever(ring(), pipe.read.get())));
  ring().turn(false);
  root.cancel();
  while (!root.done()) ring().turn(true);
  EXPECT_EQ(root.take().error().code, Errc::cancelled);
}

TEST_F(RingCancel, ADroppedOperationInTheKernelAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Result<std::unique_ptr<Ring>> made = Ring::create();
        Pair pipe = make_pipe();
        RootTask<void> root((*made)->ready(), read_forever(**made, pipe.read.get()));
        (*made)->ready().drain();
        (*made)->turn(false);
      },
      "quiet");
}

}  // namespace
}  // namespace berth
