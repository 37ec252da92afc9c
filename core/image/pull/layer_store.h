// SPDX-License-Identifier: Apache-2.0
// Where a pull puts layers. This room knows images but not snapshotters: cri/layers/snapshot_layers.h
// implements this interface over plugins::Snapshotter.
//
//   begin(chain, lowest) --> extract(target, ...) --> commit(chain, parent, ...)  has(chain) is
//   true
//                                                 \-> abort(chain)                nothing is left
//
// Layers of one image are extracted at the same time, before the layers below them are there; only
// commit() needs the parent committed. The caller works on one chain id at a time and serialises
// calls for it. begin() first removes what an earlier, interrupted extraction of the same chain id
// left.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/content/byte_source.h"
#include "core/task/task.h"

namespace berth::image {

// A directory to extract one layer into.
struct LayerTarget {
  UniqueFd directory;
  bool lowest = true;  // there is nothing below to hide
};

// What commit() must know of an extraction.
struct ExtractedLayer {
  // Directories that no entry describes ("" is the root): they look like those of the layer below.
  std::vector<std::string> implied;
};

class LayerStore {
 public:
  virtual ~LayerStore() = default;

  virtual Task<bool> has(std::string chain_id) = 0;
  virtual Task<LayerTarget> begin(std::string chain_id, bool lowest) = 0;
  // Reads the tar stream to the end of the archive and writes its entries below target.directory
  // and nowhere else. Blocks: called on an offload thread. `layer` is for error texts.
  virtual Result<ExtractedLayer> extract(const LayerTarget& target, std::string_view layer,
                                         ByteSource& tar) = 0;
  // `parent` is a committed chain id, or empty for the lowest layer.
  virtual Task<void> commit(std::string chain_id, std::string parent, ExtractedLayer layer) = 0;
  // Unknown chain ids are fine.
  virtual Task<void> abort(std::string chain_id) = 0;

  // Removes extractions that a crash interrupted. None may be running.
  virtual Task<void> abort_unfinished() = 0;

  // Makes everything committed so far survive a power loss. Blocks: called on an offload thread.
  virtual Status sync() = 0;
  // Committed chain ids.
  virtual Task<std::vector<std::string>> list() = 0;
  // failed_precondition while another layer or a container is built on it.
  virtual Task<void> remove(std::string chain_id) = 0;
};

}  // namespace berth::image
