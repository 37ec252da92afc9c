// SPDX-License-Identifier: Apache-2.0
// A ring on the running kernel, and pairs of descriptors.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "core/ring/ring.h"
#include "core/task/scope.h"

namespace berth {

struct Pair {
  UniqueFd read;
  UniqueFd write;
};

inline Pair make_pipe() {
  int fds[2] = {-1, -1};
  CHECK(::pipe2(fds, O_CLOEXEC) == 0);
  return Pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline Pair make_socket_pair() {
  int fds[2] = {-1, -1};
  CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return Pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline Task<void> close_scope(Scope& scope) {
  co_await scope.close();
}

class RingFixture : public ::testing::Test {
 protected:
  RingFixture() : ring_(MUST(Ring::create())) {}
  ~RingFixture() override {
    ring_->turn(false);  // a ring that never turned has not submitted its poll
    EXPECT_EQ(ring_->counters().queued, 0U);
    EXPECT_EQ(ring_->counters().in_kernel, 1U);  // the ring's own poll
    EXPECT_EQ(ring_->timers().size(), 0U);
  }
  Ring& ring() { return *ring_; }
  void close(Scope& scope) { EXPECT_TRUE(ring_->run_until(close_scope(scope)).ok()); }

 private:
  std::unique_ptr<Ring> ring_;
};

}  // namespace berth
