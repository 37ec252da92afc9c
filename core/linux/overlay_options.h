// SPDX-License-Identifier: Apache-2.0
// The options of an overlay mount as mount(8) and snapshotters write them. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/linux/overlay_mount.h"

namespace berth::sys {

// "lowerdir=/a:/b" is a list whose paths write ':' as "\:" and '\' as "\\"; "lowerdir+=/c" adds one
// path as it is. "ro" and "rw" are left out: a mount without an upper layer is read-only.
OverlayLayers overlay_layers(const std::vector<std::string>& options);

}  // namespace berth::sys
