// SPDX-License-Identifier: Apache-2.0
// The last step of a pull: the record that makes blobs and layers an image. Then the image is
// written to disk behind the pull. Private to this room.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/image/pull/context.h"
#include "core/image/pull/durability.h"
#include "core/image/pull/job.h"
#include "core/image/pull/sweeper.h"

namespace berth::image {

class Recorder {
 public:
  Recorder(PullContext& context, Sweeper& sweeper, Durability& durability)
      : context_(context), sweeper_(sweeper), durability_(durability) {}

  // Gives the job's reference to the image that the registry names by `root`, if that image is
  // complete here; the result is its id. Nothing: the image must be pulled.
  Task<std::optional<std::string>> add_if_present(JobPtr job, oci::Digest root);
  // Both return the image's id. Every layer is committed.
  Task<std::string> add_image(JobPtr job, const Resolved& resolved, std::string config_json);
  Task<std::string> add_artifact(JobPtr job, const Resolved& resolved);

 private:
  // An image in the store that a digest names, and the keys of everything it needs.
  struct Present {
    std::shared_ptr<const CachedImage> image;
    std::vector<std::string> keys;
  };
  Present find(const oci::Digest& root, const oci::Platform& platform) const;
  Task<bool> is_complete(const CachedImage& image);
  Task<bool> has_layer_blobs(const CachedImage& image);
  SyncState sync_state() const;

  PullContext& context_;
  Sweeper& sweeper_;
  Durability& durability_;
};

}  // namespace berth::image
