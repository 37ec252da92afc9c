// SPDX-License-Identifier: Apache-2.0
// One extraction as three stages that block: inflate the blob, hash the tar stream (diff_id),
// unpack it. A large layer runs each stage on a thread of its own; for a small one run() does all
// on one thread, which is faster than waking others. Private to this room.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "core/image/pull/layer_store.h"
#include "core/image/unpack/inflate.h"
#include "core/image/unpack/inflate_ring.h"

namespace berth::image {

// The blob of a layer, and the digest of the tar stream in it.
struct ExtractSpec {
  oci::Digest blob;
  oci::Digest diff_id;
  InflateLimits limits;
};

class ExtractStages {
 public:
  // Of the ring, the decoder without its window, and the writer of the tree with up to 2 MiB of
  // directories.
  static constexpr std::size_t kMemory = 6u << 20;

  // Everything but `compressed` is borrowed.
  ExtractStages(LayerStore& layers, const LayerTarget& target, const ExtractSpec& spec,
                std::unique_ptr<ByteSource> compressed);

  // All stages on this thread.
  Result<ExtractedLayer> run();

  // Or split(), then these three on three threads; if one fails, all end. Then outcome().
  void split();
  void inflate();
  void hash();
  void unpack();
  // Call it if a stage cannot run: the others end.
  void cancel();
  // The Error of the stage that failed first, not of those that ended because of it.
  Result<ExtractedLayer> outcome();

 private:
  Status inflate_all();
  Status hash_all();
  Status check_diff_id(const oci::Digest& actual) const;
  void note(Status outcome, std::optional<Error>& failure);

  LayerStore& layers_;
  const LayerTarget& target_;
  const ExtractSpec& spec_;
  std::unique_ptr<ByteSource> compressed_;
  std::optional<InflateRing> ring_;
  // Each is written by its own stage only.
  std::optional<Error> inflate_failure_;
  std::optional<Error> hash_failure_;
  std::optional<Error> unpack_failure_;
  std::atomic<bool> cancelled_{false};
  ExtractedLayer extracted_;
};

}  // namespace berth::image
