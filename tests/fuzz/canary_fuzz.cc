// SPDX-License-Identifier: Apache-2.0
// Tests the fuzzing itself: a real parser followed by a deliberate fault. run.sh fails if the fault
// is *not* found, because then the other targets cannot find faults either.
#include <cstring>
#include <string>

#include "core/oci/reference.h"
#include "tests/fuzz/fuzz.h"

namespace {

volatile char last = 0;  // read, so that the compiler cannot remove the copy

}  // namespace

// The fault: a tag is copied into a buffer of eight bytes without a check of its size.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto reference = berth::oci::parse_reference(berth::fuzz::text_of(data, size));
  if (!reference.ok()) return 0;
  const std::string& tag = reference.value().tag;
  char* const place = new char[8];
  std::memcpy(place, tag.data(), tag.size());
  last = place[0];
  delete[] place;
  return 0;
}
