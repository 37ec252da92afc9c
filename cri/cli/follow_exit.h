// SPDX-License-Identifier: Apache-2.0
// Shows a container's log while it runs and tells how it ended.
#pragma once

#include <string>
#include <thread>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "cri/cli/client.h"
#include "cri/cli/log_follow.h"

namespace berth::cli {

// SIGINT and SIGTERM as a file descriptor. Made before the Client, whose threads must inherit the
// block.
class StopSignals {
 public:
  static Result<StopSignals> block();
  int fd() const { return fd_.get(); }
  // The number of the signal that came, or 0.
  int take();

 private:
  UniqueFd fd_;
};

// While this lives, a blocked signal of `signals` ends the process, as it would without the block:
// for waits that leave nothing behind.
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

// Decodes `log` until the container has exited and the log is read to its end. With `signals`, one
// that comes stops the container. Gives the final status. CRI has no call that waits for an exit,
// so the state is asked for, every 2 ms at first and every 200 ms in the long run.
Result<cri::ContainerStatus> follow_until_exit(Client& client, const std::string& container_id,
                                               LogFollow& log, StopSignals* signals);

}  // namespace berth::cli
