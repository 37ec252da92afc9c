// SPDX-License-Identifier: Apache-2.0
// Start-up of the keeper: it locks its state directory, gets its own session and mount namespace,
// and keeps nothing of the program that started it. Every failure is one line that says what to do.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/keeper/environment.h"

namespace berth::keeper {

struct StartOptions {
  std::string state_dir;
  int connection = -1;  // a socket to the agent that starts the keeper
  int program = -1;     // the mount that this program runs from (program.h)
};

Result<Environment> prepare_environment(const StartOptions& options);
// After execve: `numbers` is the text that Reexec wrote.
Result<Environment> inherit_environment(std::string_view numbers);

}  // namespace berth::keeper
