// SPDX-License-Identifier: Apache-2.0
// How an image and a reference become records of the durable store. Private to this room.
//
//   table `images`            id ("sha256:...")                  -> manifest digest,
//                                                                  configuration, layers
//   table `artifacts`         id (the manifest's digest)         -> the manifest
//   table `image-references`  "docker.io/library/busybox:latest" -> id; and behind a blank the
//                                                                  manifest's digest, if it is not
//                                                                  the one of table `images`
//   table `image-manifests`   digest of such a manifest          -> id, layers
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/image/store/entry.h"
#include "core/store/state.h"

namespace berth::image {

constexpr store::Table kImages{"images", 1};
constexpr store::Table kArtifacts{"artifacts", 1};
constexpr store::Table kImageReferences{"image-references", 1};
constexpr store::Table kImageManifests{"image-manifests", 1};
constexpr store::Table kPinnedImages{"image-pins", 1};          // id -> nothing
constexpr store::Table kUnsyncedImages{"images-unsettled", 1};  // id -> boot id

std::string encode_image(const CachedImage& image);
// invalid_argument says what cannot be understood.
Result<std::shared_ptr<const CachedImage>> decode_image(std::string_view id,
                                                        std::string_view record);
// The image with another of its manifests; a record of table `image-manifests`.
std::string encode_manifest(const CachedImage& image);
struct ManifestRecord {
  std::string id;
  std::vector<LayerInfo> layers;
};
Result<ManifestRecord> decode_manifest(std::string_view record);
Result<std::shared_ptr<const CachedImage>> decode_artifact(std::string_view id,
                                                           std::string_view manifest_json);
// Fills everything that follows from configuration and layers, and checks that they fit together.
Result<std::shared_ptr<const CachedImage>> make_image(oci::Digest id, oci::Digest manifest_digest,
                                                      std::string config_json,
                                                      std::vector<LayerInfo> layers);

}  // namespace berth::image
