// SPDX-License-Identifier: Apache-2.0
// image::LayerStore over a snapshotter plugin. A committed layer is a committed snapshot named by
// its chain id; an unfinished one is an active snapshot with a private name. The snapshotter's
// mounts are not mounted: files are written directly into the upperdir of an overlay, or into the
// directory of a bind (the lowest layer), in the form that overlayfs reads from a lower layer.
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

// The directories of a mount description. failed_precondition: it is neither an overlay with an
// upperdir nor a bind (it may be a block device).
struct TargetPaths {
  std::string directory;
  std::vector<std::string> lowers;  // nearest first
};
Result<TargetPaths> target_paths(const std::vector<plugins::SnapshotMount>& mounts);

class SnapshotLayers final : public image::LayerStore {
 public:
  // Ring and snapshotter are borrowed. `root` is a directory on the filesystem of the snapshotter's
  // layers, which sync() writes to disk.
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
  // KERNEL: syncfs(2) reports a failed write once on each descriptor that was open by then, so a
  // container's syncfs does not hide it from this one.
  UniqueFd root_fd_;
  image::UnpackLimits limits_;
};

}  // namespace berth::cri
