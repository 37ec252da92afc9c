// SPDX-License-Identifier: Apache-2.0
// Tests the fuzzing itself: a real parser with a planted fault behind it. run.sh fails when this
// one is *not* found: then the others find nothing either.
#include <cstring>
#include <string>

#include "core/oci/reference.h"
#include "tests/fuzz/fuzz.h"

namespace {

volatile char last = 0;  // a copy that nobody reads would not be made

}  // namespace

// The fault: a tag is copied into a place for shorter ones.
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
