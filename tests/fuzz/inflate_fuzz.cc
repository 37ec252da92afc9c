// SPDX-License-Identifier: Apache-2.0
// gzip, zstd and plain blobs.
#include "core/image/unpack/inflate.h"

#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input_source.h"

using berth::fuzz::promise;

namespace {

constexpr std::uint64_t kSizeMax = 4 << 20;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  berth::fuzz::InputSource source(berth::fuzz::text_of(data, size), 1000);
  berth::image::InflateLimits limits;
  limits.size_max = kSizeMax;
  limits.ratio_grace = 64 << 10;
  auto inflater = berth::image::make_inflater(source, "sha256:input", limits);
  if (!inflater.ok()) return 0;
  char out[8192];
  std::uint64_t total = 0;
  while (true) {
    const auto got = inflater.value()->read(out, sizeof out);
    if (!got.ok()) {
      berth::fuzz::promise_one_line(got.error().message());
      return 0;
    }
    if (got.value() == 0) return 0;
    promise(got.value() <= sizeof out, "no more than asked for");
    total += got.value();
    promise(total <= kSizeMax, "the size limit is kept");
  }
}
