// SPDX-License-Identifier: Apache-2.0
#include "cri/cli/follow_exit.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/check.h"
#include "core/base/units.h"
#include "cri/cli/teardown.h"

namespace berth::cli {

namespace {

constexpr std::int64_t kPollMillisecondsMin = 2;
constexpr std::int64_t kPollMillisecondsMax = 200;
constexpr std::int64_t kStopGraceSeconds = 10;

Result<cri::ContainerStatus> status_of(Client& client, const std::string& container_id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(container_id);
  TRY(const auto response, client.call(&Runtime::Stub::ContainerStatus, request));
  return response.status();
}

bool ended(const cri::ContainerStatus& status) {
  return status.state() == cri::CONTAINER_EXITED || status.state() == cri::CONTAINER_UNKNOWN;
}

}  // namespace

Result<StopSignals> StopSignals::block() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  const int failed = ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (failed != 0) return sys_error(failed, "pthread_sigmask");
  StopSignals signals;
  signals.fd_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.fd_.valid()) return sys_error(errno, "signalfd");
  return signals;
}

int StopSignals::take() {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof(info)) == sizeof(info) ? static_cast<int>(info.ssi_signo)
                                                                : 0;
}

EndOnSignal::EndOnSignal(const StopSignals& signals) : done_(::eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([signal_fd = signals.fd(), done_fd = done_.get()] {
    std::array<pollfd, 2> fds = {{{signal_fd, POLLIN, 0}, {done_fd, POLLIN, 0}}};
    while (::poll(fds.data(), fds.size(), -1) < 0) {
    }
    signalfd_siginfo info{};
    if (fds[1].revents == 0 && ::read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
      ::_exit(128 + static_cast<int>(info.ssi_signo));
    }
  });
}

EndOnSignal::~EndOnSignal() {
  const std::uint64_t one = 1;
  CHECK(::write(done_.get(), &one, sizeof(one)) == sizeof(one));
  thread_.join();
}

Result<cri::ContainerStatus> follow_until_exit(Client& client, const std::string& container_id,
                                               LogFollow& log, StopSignals* signals) {
  std::int64_t wait_ms = kPollMillisecondsMin;
  std::int64_t ask_at_ns = 0;
  for (;;) {
    TRY_(log.drain());
    if (monotonic_now_ns() >= ask_at_ns) {
      TRY(const cri::ContainerStatus status, status_of(client, container_id));
      if (ended(status)) {
        // The runtime reports the exit only after all output was logged.
        TRY_(log.drain());
        return status;
      }
      ask_at_ns = monotonic_now_ns() + wait_ms * kNanosecondsPerMillisecond;
      wait_ms = std::min(wait_ms * 2, kPollMillisecondsMax);
    }
    std::array<pollfd, 2> fds = {{{log.wait_fd(), POLLIN, 0}, {-1, POLLIN, 0}}};
    if (signals != nullptr) fds[1].fd = signals->fd();
    const std::int64_t left_ns = std::max<std::int64_t>(0, ask_at_ns - monotonic_now_ns());
    ::poll(fds.data(), fds.size(), static_cast<int>(left_ns / kNanosecondsPerMillisecond + 1));
    if (signals != nullptr && signals->take() != 0) {
      TRY_(stop_container(client, container_id, kStopGraceSeconds));
      ask_at_ns = 0;
    }
  }
}

}  // namespace berth::cli
