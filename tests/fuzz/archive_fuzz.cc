// SPDX-License-Identifier: Apache-2.0
// What is given to `berth image load`, byte by byte: tar, pax and GNU headers, and the filters.
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/loaded_archive.h"
#include "tests/fuzz/tar_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<char> tar = berth::fuzz::with_checksums(data, size);
  berth::fuzz::load_and_check({tar.data(), tar.size()});
  return 0;
}
