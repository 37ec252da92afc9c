// SPDX-License-Identifier: Apache-2.0
// The values that ImageStore returns: an image or an artifact with its names and manifests.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/oci/image.h"
#include "core/oci/reference.h"

namespace berth::image {

enum class ImageKind { image, artifact };

struct LayerInfo {
  oci::Digest digest;  // of the compressed blob
  std::uint64_t size = 0;
  // Of an artifact only: the file's name, which is the annotation org.opencontainers.image.title
  // of the manifest, unchecked (empty: none), and its media type.
  std::string title{};
  std::string media_type{};
};

// The parts of an image that never change. Parsed once; all entries share one object.
struct CachedImage {
  ImageKind kind = ImageKind::image;
  std::string id;  // "sha256:..."
  oci::Digest manifest_digest;
  oci::Image config;
  std::string config_json;
  std::vector<LayerInfo> layers;  // lowest first
  std::vector<std::string>
      chain_ids;           // lowest first; the last one is a container's parent snapshot
  std::uint64_t size = 0;  // configuration and compressed layers, in bytes
  // Of an artifact only.
  std::string artifact_type;
  oci::Digest artifact_config;
  std::map<std::string, std::string> annotations;

  bool is_artifact() const { return kind == ImageKind::artifact; }
};

struct ImageEntry {
  // Found by a name: with the manifest of that name. Otherwise with any one of `manifests`.
  std::shared_ptr<const CachedImage> image;
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest", sorted
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:...", sorted
  // Of each of those names: the same image with the manifest and the layers of that name.
  std::map<std::string, std::shared_ptr<const CachedImage>> manifests{};
  bool pinned = false;  // not to be removed to make room
  // The name by which a lookup found the image; none: it was found by its id, or listed.
  std::optional<oci::Reference> found_by{};
};

// The blobs that must be kept as long as the image: each manifest with its configuration and layers
// (also those that are not stored), and the index that a digest reference names.
std::vector<oci::Digest> needed_blobs(const ImageEntry& entry);

}  // namespace berth::image
