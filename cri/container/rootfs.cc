// SPDX-License-Identifier: Apache-2.0
// The root filesystem as a detached mount: it appears in no mount table until the container's own.
#include "cri/container/rootfs.h"

#include <sys/mount.h>

#include <functional>
#include <string_view>

#include "core/ring/offload.h"
#include "cri/container/calls.h"

namespace berth::cri {

namespace {

// "lowerdir=/a:/b" from a snapshot's options; colons in paths do not occur: the names are our own.
std::vector<std::string> split_paths(std::string_view text) {
  std::vector<std::string> paths;
  while (!text.empty()) {
    const std::size_t colon = text.find(':');
    paths.emplace_back(text.substr(0, colon));
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
  }
  return paths;
}

}  // namespace

sys::OverlayLayers layers_of(const plugins::SnapshotMount& mount) {
  sys::OverlayLayers layers;
  for (const std::string& option : mount.options) {
    const std::size_t equals = option.find('=');
    const std::string key = option.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : option.substr(equals + 1);
    if (key == "lowerdir") {
      layers.lowerdirs = split_paths(value);
    } else if (key == "upperdir") {
      layers.upperdir = value;
    } else if (key == "workdir") {
      layers.workdir = value;
    } else if (key == "volatile") {
      layers.is_volatile = true;
    } else if (key != "ro" && key != "rw") {
      layers.options.push_back(option);
    }
  }
  return layers;
}

namespace {

bool has_option(const plugins::SnapshotMount& mount, std::string_view wanted) {
  for (const std::string& option : mount.options) {
    if (option == wanted) return true;
  }
  return false;
}

Result<UniqueFd> attach_nowhere(const Node& node, const plugins::SnapshotMount& mount) {
  if (mount.type == "overlay") {
    sys::OverlayLayers layers = layers_of(mount);
    layers.lowerdirs.push_back(node.layout.mount_points());
    TRY(sys::UniqueMount overlay, sys::mount_overlay(node.mount_features, layers));
    return overlay.release();
  }
  if (mount.type == "bind") {
    TRY(sys::UniqueMount tree, sys::open_tree_clone(AT_FDCWD, mount.source, false));
    if (has_option(mount, "ro")) {
      TRY_(sys::mount_setattr(tree.get(), {.set = MOUNT_ATTR_RDONLY}));
    }
    return tree.release();
  }
  return make_error(Errc::internal, "snapshot mount of unknown type `" + mount.type + "`");
}

}  // namespace

Result<std::vector<std::string>> directories_of(const std::vector<plugins::SnapshotMount>& mounts) {
  if (mounts.size() == 1 && mounts.front().type == "bind") {
    return std::vector<std::string>{mounts.front().source};
  }
  if (mounts.size() == 1 && mounts.front().type == "overlay") {
    sys::OverlayLayers layers = layers_of(mounts.front());
    if (layers.upperdir.empty()) return std::move(layers.lowerdirs);
  }
  return make_error(Errc::internal, "a view is not described as read-only directories");
}

Task<UniqueFd> mount_rootfs(Node& node, const std::string& container_id) {
  const std::vector<plugins::SnapshotMount> mounts = co_await node.snapshotter.mounts(container_id);
  if (mounts.size() != 1) {
    co_await fail(Errc::internal, "snapshot `" + container_id + "` has " +
                                      std::to_string(mounts.size()) + " mounts, one is expected");
  }
  // The filesystem below may be slow, and the loop has other containers to serve.
  std::function<Result<UniqueFd>()> attach = [&node, mount = mounts.front()]() {
    return attach_nowhere(node, mount);
  };
  UniqueFd rootfs = co_await offload(node.ring, std::move(attach));
  co_return rootfs;
}

}  // namespace berth::cri
