// SPDX-License-Identifier: Apache-2.0
// The pods a bench left on purpose or by accident, found by their label.
#pragma once

#include "core/base/result.h"
#include "cri/cli/client.h"

namespace berth::bench {

// Stops and removes every pod with the bench's label, and its logs. Gives how many there were.
Result<int> clean(cli::Client& client);

// After --keep: an error unless at least `pods` containers of the bench run.
Status check_kept(cli::Client& client, int pods);

}  // namespace berth::bench
