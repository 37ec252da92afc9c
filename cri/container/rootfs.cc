// SPDX-License-Identifier: Apache-2.0
#include "cri/container/rootfs.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <utility>

#include "core/linux/mount.h"
#include "core/linux/overlay_options.h"

namespace berth::cri {

Result<UniqueFd> mount_snapshot(const sys::MountFeatures& features,
                                const std::vector<plugins::SnapshotMount>& mounts,
                                const std::string& mount_points) {
  if (mounts.size() != 1) {
    return make_error(Errc::internal, "a snapshot has " + std::to_string(mounts.size()) +
                                          " mounts, one is expected");
  }
  const plugins::SnapshotMount& mount = mounts.front();
  if (mount.type == "overlay") {
    sys::OverlayLayers layers = sys::overlay_layers(mount.options);
    layers.lowerdirs.push_back(mount_points);
    TRY(sys::UniqueMount overlay, sys::mount_overlay(features, layers));
    return overlay.release();
  }
  if (mount.type != "bind") {
    return make_error(Errc::internal, "snapshot mount of unknown type `" + mount.type + "`");
  }
  TRY(sys::UniqueMount tree, sys::open_tree_clone(AT_FDCWD, mount.source, false));
  if (std::find(mount.options.begin(), mount.options.end(), "ro") != mount.options.end()) {
    TRY_(sys::mount_setattr(tree.get(), {.set = MOUNT_ATTR_RDONLY}));
  }
  return tree.release();
}

Result<std::vector<std::string>> directories_of(const std::vector<plugins::SnapshotMount>& mounts) {
  if (mounts.size() == 1 && mounts.front().type == "bind") {
    return std::vector<std::string>{mounts.front().source};
  }
  if (mounts.size() == 1 && mounts.front().type == "overlay") {
    sys::OverlayLayers layers = sys::overlay_layers(mounts.front().options);
    if (layers.upperdir.empty()) return std::move(layers.lowerdirs);
  }
  return make_error(Errc::internal, "a view is not described as read-only directories");
}

}  // namespace berth::cri
