// SPDX-License-Identifier: Apache-2.0
// One extraction as stages, each a function that blocks, for a thread each: inflate the blob, hash
// what comes out (diff_id), unpack it. A big layer runs them at once; for a small one, run() does
// all on one thread, which is sooner done than waking others. Private to this room.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "core/image/pull/layer_store.h"
#include "core/image/unpack/inflate.h"
#include "core/image/unpack/inflate_ring.h"

namespace berth::image {

// What one extraction reads and must turn out to be.
struct ExtractSpec {
  oci::Digest blob;
  oci::Digest diff_id;
  InflateLimits limits;
};

class ExtractStages {
 public:
  // What the ring, the decoder without its window and the writer of the tree need, who remembers
  // up to 2 MiB of directories.
  static constexpr std::size_t kMemory = 6u << 20;

  // Everything but `compressed` is borrowed.
  ExtractStages(LayerStore& layers, const LayerTarget& target, const ExtractSpec& spec,
                std::unique_ptr<ByteSource> compressed);

  // All on this thread.
  Result<ExtractedLayer> run();

  // Or split(), then these three on three threads; they succeed or all fail. Then outcome().
  void split();
  void inflate();
  void hash();
  void unpack();
  // A stage will not run: the others end.
  void give_up();
  // The Error is that of the stage which failed of itself, not because another did.
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
  // Each written by its stage alone.
  std::optional<Error> inflate_failure_;
  std::optional<Error> hash_failure_;
  std::optional<Error> unpack_failure_;
  std::atomic<bool> given_up_{false};
  ExtractedLayer extracted_;
};

}  // namespace berth::image
