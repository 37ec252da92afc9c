// SPDX-License-Identifier: Apache-2.0
// Prints a container's log while it runs and returns its final status.
#pragma once

#include <string>
#include <thread>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "cri/cli/client.h"
#include "cri/cli/logs/follow.h"

namespace berth::cli {

// Blocks SIGINT and SIGTERM and receives them through a file descriptor. Create it before the
// Client, because the Client's threads must inherit the signal mask.
class StopSignals {
 public:
  static Result<StopSignals> block();
  int fd() const { return fd_.get(); }
  // The number of a pending signal, or 0.
  int take();

 private:
  UniqueFd fd_;
};

// While this object exists, a signal of `signals` ends the process, as if it were not blocked. For
// waits that need no cleanup.
class EndOnSignal {
 public:
  explicit EndOnSignal(const StopSignals& signals);
  ~EndOnSignal();
  EndOnSignal(const EndOnSignal&) = delete;
  EndOnSignal& operator=(const EndOnSignal&) = delete;

 private:
  UniqueFd done_;
  std::thread thread_;
};

// Decodes `log` until the container has exited and the log was read to its end, and returns the
// final status. With `signals`, a signal stops the container. CRI has no call that waits for an
// exit, so the status is polled, first after 2 ms and later every 200 ms.
Result<cri::ContainerStatus> follow_until_exit(Client& client, const std::string& container_id,
                                               LogFollow& log, StopSignals* signals);

}  // namespace berth::cli
