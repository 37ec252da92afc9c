// SPDX-License-Identifier: Apache-2.0
// Multishot subscriptions.
#include "core/ring/stream.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/un.h>

#include <array>
#include <string>
#include <vector>

#include "core/ring/recv_stream.h"
#include "core/task/event.h"
#include "tests/core/ring/fixture.h"
#include "tests/core/ring/nop.h"

namespace berth {
namespace {

using RingStream = RingFixture;

UniqueFd make_listener(sockaddr_un* address, socklen_t* length) {
  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  *address = {};
  address->sun_family = AF_UNIX;
  CHECK(::bind(listener.get(), reinterpret_cast<sockaddr*>(address), sizeof(sa_family_t)) == 0);
  CHECK(::listen(listener.get(), 64) == 0);
  *length = sizeof *address;
  CHECK(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(address), length) == 0);
  return listener;
}

UniqueFd connected_to(const sockaddr_un& address, socklen_t length) {
  UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  return client;
}

int count_open_fds() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

Task<void> accept_some(Ring& ring, int listener, int wanted, std::vector<UniqueFd>* sockets) {
  AcceptStream stream(ring, listener);
  for (int i = 0; i < wanted; ++i) {
    int socket = co_await stream.next();
    sockets->emplace_back(socket);
  }
  co_await stream.close();
}

TEST_F(RingStream, AcceptGivesEveryConnectionWithOneSubmission) {
  sockaddr_un address;
  socklen_t length = 0;
  UniqueFd listener = make_listener(&address, &length);
  std::vector<UniqueFd> clients;
  std::vector<UniqueFd> sockets;
  const std::uint64_t before = ring().counters().submitted;
  RootTask<void> server(ring().ready(), accept_some(ring(), listener.get(), 20, &sockets));
  ring().turn(false);
  for (int i = 0; i < 20; ++i) clients.push_back(connected_to(address, length));
  while (!server.done()) ring().turn(true);
  EXPECT_EQ(sockets.size(), 20U);
  // The ring's poll, the accept and its cancellation.
  EXPECT_LE(ring().counters().submitted - before, 3U);
}

Task<void> accept_one_of_many(Ring& ring, int listener, Event* connected) {
  AcceptStream stream(ring, listener);
  int first = co_await stream.next();
  UniqueFd owned(first);
  co_await connected->wait();
  for (int i = 0; i < 3; ++i) {
    co_await nop(ring);
  }
  co_await stream.close();
}

TEST_F(RingStream, UntakenConnectionsAreClosedWithTheStream) {
  sockaddr_un address;
  socklen_t length = 0;
  UniqueFd listener = make_listener(&address, &length);
  const int before = count_open_fds();
  {
    Event connected;
    RootTask<void> server(ring().ready(), accept_one_of_many(ring(), listener.get(), &connected));
    ring().turn(false);
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(connected_to(address, length));
    connected.set();
    while (!server.done()) ring().turn(true);
    EXPECT_TRUE(server.take().ok());
  }
  EXPECT_EQ(count_open_fds(), before);
}

Task<int> poll_times(Ring& ring, int event_fd, int times) {
  PollStream stream(ring, event_fd, POLLIN);
  int seen = 0;
  for (int i = 0; i < times; ++i) {
    std::uint64_t one = 1;
    EXPECT_EQ(::write(event_fd, &one, sizeof one), 8);
    int events = co_await stream.next();
    seen += (events & POLLIN) != 0 ? 1 : 0;
    EXPECT_EQ(::read(event_fd, &one, sizeof one), 8);
  }
  co_await stream.close();
  co_return seen;
}

TEST_F(RingStream, PollReportsEachEdge) {
  UniqueFd event_fd(::eventfd(0, EFD_CLOEXEC));
  Result<int> seen = ring().run_until(poll_times(ring(), event_fd.get(), 5));
  ASSERT_TRUE(seen.ok()) << seen.error().message();
  EXPECT_EQ(*seen, 5);
}

Task<void> wait_in_stream(PollStream* stream) {
  co_await stream->next();
}
Task<void> close_stream(PollStream* stream) {
  co_await stream->close();
}

TEST_F(RingStream, ACancelledWaiterLeavesTheStreamArmed) {
  Pair pipe = make_pipe();
  PollStream stream(ring(), pipe.read.get(), POLLIN);
  RootTask<void> impatient(ring().ready(), wait_in_stream(&stream));
  ring().turn(false);
  impatient.cancel();
  ring().turn(false);
  EXPECT_EQ(impatient.take().error().code, Errc::cancelled);
  const std::uint64_t before = ring().counters().submitted;
  RootTask<void> patient(ring().ready(), wait_in_stream(&stream));
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  while (!patient.done()) ring().turn(true);
  EXPECT_TRUE(patient.take().ok());
  EXPECT_EQ(ring().counters().submitted, before);
  EXPECT_TRUE(ring().run_until(close_stream(&stream)).ok());
}

Task<std::string> receive_all(Ring& ring, int socket, BufferPool& pool) {
  RecvStream stream(ring, socket, pool);
  std::string text;
  for (;;) {
    Chunk chunk = co_await stream.next_chunk();
    if (chunk.bytes().empty()) break;
    text += chunk.bytes();
  }
  co_await stream.close();
  co_return text;
}

Task<void> send_all(Ring& ring, UniqueFd socket, std::string text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    int n = co_await ring.send(socket.get(), rest);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

TEST_F(RingStream, ReceiveDeliversEveryByteThroughFewBuffers) {
  Result<std::unique_ptr<BufferPool>> pool =
      BufferPool::create(ring(), {.group = 1, .count = 4, .size = 512});
  ASSERT_TRUE(pool.ok()) << pool.error().message();
  Pair sockets = make_socket_pair();
  std::string text(300'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 26);
  Scope scope(ring().ready(), nullptr);
  scope.spawn(send_all(ring(), std::move(sockets.write), text));
  Result<std::string> received = ring().run_until(receive_all(ring(), sockets.read.get(), **pool));
  ASSERT_TRUE(received.ok()) << received.error().message();
  EXPECT_TRUE(*received == text);
  EXPECT_EQ((*pool)->free_buffers(), 4U);
  close(scope);
}

Task<void> hold_chunks(Ring& ring, int socket, BufferPool& pool, Event* release) {
  RecvStream stream(ring, socket, pool);
  {
    Chunk held = co_await stream.next_chunk();
    co_await release->wait();
  }
  Chunk rest = co_await stream.next_chunk();
  EXPECT_EQ(rest.bytes(), "more");
  co_await stream.close();
}

Task<std::string> receive_one(Ring& ring, int socket, BufferPool& pool) {
  RecvStream stream(ring, socket, pool);
  std::string text;
  {
    Chunk chunk = co_await stream.next_chunk();
    text = chunk.bytes();
  }
  co_await stream.close();
  co_return text;
}

TEST_F(RingStream, AStreamWithoutABufferContinuesWhenOneIsReturned) {
  Result<std::unique_ptr<BufferPool>> pool =
      BufferPool::create(ring(), {.group = 2, .count = 1, .size = 64});
  ASSERT_TRUE(pool.ok());
  Pair first = make_socket_pair();
  Pair second = make_socket_pair();
  Event release;
  ASSERT_EQ(::write(first.write.get(), "held", 4), 4);
  RootTask<void> holder(ring().ready(), hold_chunks(ring(), first.read.get(), **pool, &release));
  for (int i = 0; i < 3; ++i) ring().turn(false);
  ASSERT_EQ(::write(second.write.get(), "hungry", 6), 6);
  RootTask<std::string> hungry(ring().ready(), receive_one(ring(), second.read.get(), **pool));
  for (int i = 0; i < 5; ++i) ring().turn(false);
  EXPECT_FALSE(hungry.done());
  const std::uint64_t before = ring().counters().submitted;
  for (int i = 0; i < 20; ++i) ring().turn(false);
  EXPECT_EQ(ring().counters().submitted, before);  // without a buffer it only waits
  release.set();
  while (!hungry.done()) ring().turn(true);
  EXPECT_EQ(*hungry.take(), "hungry");
  ASSERT_EQ(::write(first.write.get(), "more", 4), 4);
  while (!holder.done()) ring().turn(true);
  EXPECT_TRUE(holder.take().ok());
}

}  // namespace
}  // namespace berth
