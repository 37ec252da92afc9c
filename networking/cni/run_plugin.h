// SPDX-License-Identifier: Apache-2.0
// One run of one plugin: a process in a process group of its own, with the given environment and
// nothing else of the agent. The agent is not forked: posix_spawn(3) uses CLONE_VFORK.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/linux/pidfd.h"
#include "core/ring/ring.h"
#include "core/task/task.h"

namespace berth::networking::cni {

struct PluginRun {
  std::string path{};                      // of the program
  std::vector<std::string> environment{};  // "NAME=value"
  std::string input{};                     // for its standard input
  Deadline deadline = Deadline::never();
};

struct PluginOutput {
  sys::ExitStatus exit{};
  std::string out{};  // at most 1 MiB
  std::string err{};  // the last 4 KiB
  bool timed_out = false;
  bool is_out_too_long = false;  // the process group was killed for it
};

// At the deadline, when the task is cancelled (which is then its error), and when the output is too
// long, the whole process group is killed. Ends when the process has ended; descendants that left
// its process group are not waited for. Errors are those of pipe2(2) and posix_spawn(3).
Task<PluginOutput> run_plugin(Ring& ring, PluginRun run);

}  // namespace berth::networking::cni
