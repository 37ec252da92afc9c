// SPDX-License-Identifier: Apache-2.0
// From a snapshotter's description of a mount to a detached mount: it appears in no mount table
// until the container's own.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/linux/overlay_mount.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

// `mount_points` is the lowest layer of every overlay (cri/container/mount_points.h). Blocks.
Result<UniqueFd> mount_snapshot(const sys::MountFeatures& features,
                                const std::vector<plugins::SnapshotMount>& mounts,
                                const std::string& mount_points);

// The directories of a read-only description, the topmost first: an overlay's lower layers, or the
// one directory of a bind.
Result<std::vector<std::string>> directories_of(const std::vector<plugins::SnapshotMount>& mounts);

}  // namespace berth::cri
