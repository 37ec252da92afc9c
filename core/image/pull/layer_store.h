// SPDX-License-Identifier: Apache-2.0
// Where a pull puts layers. cri/layers/snapshot_layers.h implements this interface over
// plugins::Snapshotter, which this room does not know.
//
//   begin(chain, lowest)
//     extract(target, ...)
//       commit(chain, parent, ...)    has(chain) is true
//       or abort(chain)               nothing of the layer is left
//
// Layers of one image are extracted at the same time; only commit() needs the parent committed. The
// caller serialises the calls for one chain id. begin() first removes an earlier, interrupted
// extraction of the same chain id.
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
  bool lowest = true;  // no layer is below it
};

// The result of an extraction, for commit().
struct ExtractedLayer {
  // Directories that no entry describes ("" is the root). They get the attributes of the same
  // directories in the layer below.
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
