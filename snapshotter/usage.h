// SPDX-License-Identifier: Apache-2.0
// The disk usage of a tree. The tree may be in use; changes during the count may or may not count.
#pragma once

#include "core/base/result.h"
#include "plugins/api/snapshotter.h"

namespace berth::snapshotter {

// Blocks and inodes of the tree below `dirfd`, including `dirfd`; a file with several names counts
// once. Blocks: call it on an offload thread.
Result<plugins::SnapshotUsage> tree_usage(int dirfd);

}  // namespace berth::snapshotter
