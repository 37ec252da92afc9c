// SPDX-License-Identifier: Apache-2.0
// How the keeper takes its place: alone on its state directory, in its own session and mount
// namespace, holding nothing of whoever started it. Every failure is one line that names what to
// do.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/keeper/keeper.h"

namespace berth::keeper {

struct StartOptions {
  std::string state_dir;
  int connection = -1;  // a socket to the agent that starts us
  int program = -1;     // the mount that this program runs from (program.h)
};

Result<Station> take_place(const StartOptions& options);
// After execve: `numbers` is what Keeper::try_reexec wrote.
Result<Station> take_place_again(std::string_view numbers);

}  // namespace berth::keeper
