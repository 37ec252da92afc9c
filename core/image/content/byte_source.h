// SPDX-License-Identifier: Apache-2.0
// Bytes that are pulled: the stages of a layer (file, inflater, digest) are chained by it, so that
// memory is one buffer for each stage whatever the layer's size. Used by one thread at a time.
#pragma once

#include <cstddef>

#include "core/base/result.h"

namespace berth::image {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Puts 1..`size` bytes at `out` and tells how many; 0 is the end, and stays the end. May block.
  virtual Result<std::size_t> read(char* out, std::size_t size) = 0;
};

}  // namespace berth::image
