// SPDX-License-Identifier: Apache-2.0
// An overlay mount, detached, by whichever way this kernel has:
//   layers by descriptor  6.13   any number of layers, no path is resolved twice
//   lowerdir+             6.7    one fsconfig call for each layer
//   lowerdir=a:b          6.1    one string; longer than 255 bytes: mount(2) in a private namespace
// The way is found by trying, once, and kept by the caller (no global).
#pragma once

#include <fcntl.h>

#include <string>
#include <vector>

#include "core/linux/mount.h"

namespace berth::sys {

struct MountFeatures {
  bool overlay = false;  // the kernel has overlayfs at all
  bool overlay_lowerdir_append = false;
  bool overlay_layers_by_fd = false;
  bool clones_detached = false;  // 6.15: open_tree takes a part of a detached mount

  // A few fsopen calls; attaches nothing.
  static MountFeatures probe();
  // One sentence for `berth doctor`.
  std::string describe() const;
};

// Paths are relative to `dirfd`. Without upperdir and workdir the mount is read-only; one lowerdir
// alone is then not an overlay: the kernel wants two, use open_tree_clone.
struct OverlayLayers {
  int dirfd = AT_FDCWD;
  std::vector<std::string> lowerdirs{};  // the topmost first
  std::string upperdir{};
  std::string workdir{};
  bool is_volatile = false;            // no sync of the upper layer on unmount: "volatile"
  std::vector<std::string> options{};  // further "key" or "key=value": "userxattr", "index=off"
};

// Errors name the layer or the option; the kernel's own sentence comes first when it has one.
Result<UniqueMount> mount_overlay(const MountFeatures& features, const OverlayLayers& layers,
                                  std::uint64_t attributes = 0);

}  // namespace berth::sys
