// SPDX-License-Identifier: Apache-2.0
#include "core/oci/image.h"
#include "tests/fuzz/fuzz.h"

using berth::fuzz::promise;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = berth::fuzz::text_of(data, size);
  static_cast<void>(berth::oci::document_kind(text, ""));
  const auto parsed = berth::oci::parse_manifest(text);
  if (!parsed.ok()) {
    berth::fuzz::promise_one_line(parsed.error().message());
    return 0;
  }
  const berth::oci::Manifest& manifest = parsed.value();
  promise(!manifest.config.digest.empty(), "the configuration has a digest");
  promise(manifest.layers.size() <= berth::oci::kLayersMax, "the number of layers is bounded");
  for (const berth::oci::Descriptor& layer : manifest.layers) {
    promise(berth::oci::Digest::parse(layer.digest.text()).ok(), "each layer has a valid digest");
  }
  static_cast<void>(berth::oci::is_artifact(manifest));
  return 0;
}
