// SPDX-License-Identifier: Apache-2.0
// Decides how long the calls of a fake plugin take and which of them fail. Every call of a fake
// awaits before(), changes its tables without waiting, and awaits after().
#pragma once

#include <cstdint>

#include "core/task/task.h"

namespace berth::fakes {

class Faults {
 public:
  virtual ~Faults() = default;
  // An error: the call has had no effect.
  virtual Task<void> before(const char* call) = 0;
  // An error: the call has had its effect and its answer is lost.
  virtual Task<void> after(const char* call) = 0;
  // From a signal to the end of the process; 0: within the call.
  virtual std::int64_t ending_ns() = 0;
  // Whether the end of a process is seen without its exit code.
  virtual bool loses_exit_code() = 0;
};

class NoFaults final : public Faults {
 public:
  Task<void> before(const char*) override { co_return; }
  Task<void> after(const char*) override { co_return; }
  std::int64_t ending_ns() override { return 0; }
  bool loses_exit_code() override { return false; }
};

}  // namespace berth::fakes
