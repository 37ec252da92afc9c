// SPDX-License-Identifier: Apache-2.0
// The bytes of an archive for `berth image load`: tar, pax and GNU headers, and compression.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/loaded_archive.h"
#include "tests/fuzz/tar_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> tar = berth::fuzz::with_checksums(data, size);
  berth::fuzz::load_and_check({tar.data(), tar.size()});
  return 0;
}
