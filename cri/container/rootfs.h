// SPDX-License-Identifier: Apache-2.0
// From a snapshotter's description of a mount to a detached mount.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/linux/mount.h"
#include "core/linux/overlay_mount.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

// The layers of an overlay description.
sys::OverlayLayers layers_of(const plugins::SnapshotMount& mount);

// The directories of a read-only description, the topmost first: an overlay's lower layers, or the
// one directory of a bind.
Result<std::vector<std::string>> directories_of(const std::vector<plugins::SnapshotMount>& mounts);

}  // namespace berth::cri
