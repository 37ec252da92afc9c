// SPDX-License-Identifier: Apache-2.0
// FACT: SO_COOKIE (Linux 4.12) names a socket: the same through every descriptor of it, and never
// given to another one, also when the descriptor's number is used again.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <set>

#include "core/base/unique_fd.h"

namespace berth {
namespace {

std::uint64_t cookie_of(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
  return cookie;
}

TEST(SocketCookie, NamesASocketForGood) {
  std::set<std::uint64_t> seen;
  std::set<int> numbers;
  for (int i = 0; i < 1000; ++i) {
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UniqueFd other(::dup(socket.get()));
    const std::uint64_t cookie = cookie_of(socket.get());
    EXPECT_EQ(cookie_of(other.get()), cookie);
    EXPECT_TRUE(seen.insert(cookie).second) << "round " << i;
    numbers.insert(socket.get());
  }
  EXPECT_LT(numbers.size(), 10U) << "no number was used again, so this proves nothing";
}

}  // namespace
}  // namespace berth
