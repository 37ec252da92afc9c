// SPDX-License-Identifier: Apache-2.0
#include "core/oci/image.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = berth::oci::parse_image(berth::fuzz::text_of(data, size));
  if (!parsed.ok()) {
    berth::fuzz::promise_one_line(parsed.error().message());
    return 0;
  }
  const auto& diff_ids = parsed.value().diff_ids;
  const auto chain = berth::oci::chain_ids(diff_ids);
  promise(chain.size() == diff_ids.size(), "a chain id for each layer");
  if (!chain.empty()) promise(chain[0] == diff_ids[0], "the first chain id is the first diff id");
  return 0;
}
