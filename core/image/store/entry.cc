// SPDX-License-Identifier: Apache-2.0
#include "core/image/store/entry.h"

#include <utility>

#include "core/base/result.h"

namespace berth::image {

std::vector<oci::Digest> needed_blobs(const ImageEntry& entry) {
  std::vector<oci::Digest> needed;
  const auto add = [&needed](const CachedImage& image) {
    needed.push_back(image.manifest_digest);
    for (const LayerInfo& layer : image.layers) needed.push_back(layer.digest);
  };
  const CachedImage& image = *entry.image;
  add(image);
  for (const auto& [name, other] : entry.manifests) {
    if (other->manifest_digest != image.manifest_digest) add(*other);
  }
  if (image.is_artifact()) {
    needed.push_back(image.artifact_config);
  } else if (Result<oci::Digest> config = oci::Digest::parse(image.id); config.ok()) {
    needed.push_back(*std::move(config));
  }
  // A digest reference may name an index.
  for (const std::string& reference : entry.repo_digests) {
    Result<oci::Digest> root = oci::Digest::parse(reference.substr(reference.find('@') + 1));
    if (root.ok()) needed.push_back(*std::move(root));
  }
  return needed;
}

}  // namespace berth::image
