// SPDX-License-Identifier: Apache-2.0
// What a tree occupies on disk. It may be in use: what changes meanwhile is counted as it is met.
#pragma once

#include "core/base/result.h"
#include "plugins/api/snapshotter.h"

namespace berth::snapshotter {

// Blocks and inodes of the tree below `dirfd`, `dirfd` itself included; a file with several names
// counts once. Blocking: for an offload thread.
Result<plugins::SnapshotUsage> tree_usage(int dirfd);

}  // namespace berth::snapshotter
