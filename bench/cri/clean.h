// SPDX-License-Identifier: Apache-2.0
// Finds and removes the pods that a bench left, after --keep or after a crash, by their label.
#pragma once

#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::bench {

// Stops and removes every pod with the bench's label, and its logs. Returns the number of pods.
Result<int> clean(cli::Client& client);

// For --keep: fails unless at least `pods` containers of the bench are running.
Status check_kept(cli::Client& client, int pods);

}  // namespace berth::bench
