// SPDX-License-Identifier: Apache-2.0
// image::LayerStore over a snapshotter plugin: a layer is a committed snapshot whose name is its
// chain id, and its extraction an active one called "extract-<chain id>". What the snapshotter
// describes as a mount is not mounted: the entries go straight into the upperdir of an overlay, or
// into the directory of a bind (the lowest layer), in the form overlayfs reads from a lower layer.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/unique_fd.h"
#include "core/image/pull/layer_store.h"
#include "core/image/unpack/unpack.h"
#include "core/ring/ring.h"
#include "plugins/api/snapshotter.h"

namespace berth::cri {

// What an extraction needs to know of a mount description. failed_precondition: neither an overlay
// with an upperdir nor a bind, as a snapshotter of another kind (a block device) might describe.
struct TargetPaths {
  std::string directory;
  std::vector<std::string> lowers;  // nearest first
};
Result<TargetPaths> target_paths(const std::vector<plugins::SnapshotMount>& mounts);

class SnapshotLayers final : public image::LayerStore {
 public:
  // Ring and snapshotter are borrowed. `root` is a directory on the filesystem that the snapshotter
  // keeps layers on: what sync() writes out.
  SnapshotLayers(Ring& ring, plugins::Snapshotter& snapshots, std::string root,
                 image::UnpackLimits limits = {});

  Task<bool> has(std::string chain_id) override;
  Task<image::LayerTarget> begin(std::string chain_id, bool lowest) override;
  Result<image::ExtractedLayer> extract(const image::LayerTarget& target, std::string_view layer,
                                        image::ByteSource& tar) override;
  Task<void> commit(std::string chain_id, std::string parent, image::ExtractedLayer layer) override;
  Task<void> abort(std::string chain_id) override;
  Status sync() override;
  Task<std::vector<std::string>> list() override;
  Task<void> remove(std::string chain_id) override;
  Task<void> abort_unfinished() override;

 private:
  Ring& ring_;
  plugins::Snapshotter& snapshots_;
  std::string root_;
  // KERNEL: syncfs(2) tells of a failed write once to each descriptor that was open by then. A
  // container's syncfs does not take that away from this one.
  UniqueFd root_fd_;
  image::UnpackLimits limits_;
};

}  // namespace berth::cri
