// SPDX-License-Identifier: Apache-2.0
// A source of bytes. The stages of a layer (file, inflater, digest) are chained by it, so that each
// stage needs one buffer, whatever the layer's size. Used by one thread at a time.
#pragma once

#include <cstddef>

#include "core/base/result.h"

namespace berth::image {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Writes 1..`size` bytes to `out` and returns how many; 0 is the end, also of later calls. May
  // block.
  virtual Result<std::size_t> read(char* out, std::size_t size) = 0;
};

}  // namespace berth::image
