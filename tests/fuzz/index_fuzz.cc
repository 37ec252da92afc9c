// SPDX-License-Identifier: Apache-2.0
#include "core/oci/image.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = berth::fuzz::text_of(data, size);
  static_cast<void>(berth::oci::document_kind(text, berth::oci::media_type::kImageIndex));
  const auto parsed = berth::oci::parse_index(text);
  if (!parsed.ok()) {
    berth::fuzz::promise_one_line(parsed.error().message());
    return 0;
  }
  const berth::oci::Platform wanted = {"amd64", "linux", "", ""};
  const auto chosen = berth::oci::choose_platform(parsed.value(), wanted);
  if (!chosen.ok()) {
    berth::fuzz::promise_one_line(chosen.error().message());
    return 0;
  }
  bool offered = false;
  for (const berth::oci::Descriptor& one : parsed.value().manifests) {
    offered |= one.digest == chosen.value().digest;
  }
  promise(offered, "what is chosen is one of those in the index");
  return 0;
}
