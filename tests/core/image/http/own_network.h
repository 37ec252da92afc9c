// SPDX-License-Identifier: Apache-2.0
// A network namespace of the test with loopback only. A program that includes this header enters it
// before its first test, in the main thread, so that all later threads and children are in it.
#pragma once

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

namespace berth::image {

class OwnNetwork : public testing::Environment {
 public:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    if (::unshare(CLONE_NEWNET) != 0) return;
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    entered_ = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    ::close(socket);
  }
  static bool entered() { return entered_; }

 private:
  inline static bool entered_ = false;
};

// One for the whole program, however many of its files include this.
inline const auto* const kOwnNetwork = testing::AddGlobalTestEnvironment(new OwnNetwork);

}  // namespace berth::image
