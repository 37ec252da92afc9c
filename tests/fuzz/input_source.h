// SPDX-License-Identifier: Apache-2.0
// Reads the fuzzer's input as a blob that is received in pieces.
#pragma once

#include <algorithm>
#include <string_view>

#include "core/image/content/byte_source.h"

namespace berth::fuzz {

class InputSource final : public image::ByteSource {
 public:
  // Returns at most `step` bytes per read. The input must outlive the object.
  InputSource(std::string_view input, std::size_t step) : rest_(input), step_(step) {}
  Result<std::size_t> read(char* out, std::size_t size) override {
    const std::size_t count = rest_.copy(out, std::min(size, step_));
    rest_.remove_prefix(count);
    return count;
  }

 private:
  std::string_view rest_;
  std::size_t step_;
};

}  // namespace berth::fuzz
