// SPDX-License-Identifier: Apache-2.0
// What the store answers: an image or artifact, its names, its manifests. Plain values.
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
  // Of an artifact only: what the manifest calls the file (the annotation
  // org.opencontainers.image.title, as a stranger wrote it; empty: none) and its media type.
  std::string title{};
  std::string media_type{};
};

// Everything that does not change about an image. Parsed once, shared by everyone who asks.
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
  // With the manifest that the name stands for by which it was found; else with one of `manifests`.
  std::shared_ptr<const CachedImage> image;
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest", sorted
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:...", sorted
  // What each of those names stands for: the same image, with its manifest and its layers' blobs.
  std::map<std::string, std::shared_ptr<const CachedImage>> manifests{};
  bool pinned = false;  // not to be removed to make room
  // By which of its names a lookup found it; none: by its id, or it was listed.
  std::optional<oci::Reference> found_by{};
};

// Every blob that must stay as long as the image does: the documents of each of its manifests, and
// for an image whose layers were kept compressed, those; for an artifact all it consists of.
std::vector<oci::Digest> needed_blobs(const ImageEntry& entry);

}  // namespace berth::image
