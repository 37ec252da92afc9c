// SPDX-License-Identifier: Apache-2.0
// From a name to one manifest and the documents that led to it, with the checks that come before
// anything is fetched. Private to this room.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/content/content.h"
#include "core/image/registry/session.h"
#include "core/oci/image.h"
#include "core/ring/offload.h"
#include "core/task/task.h"

namespace berth::image {

struct Resolved {
  struct Document {
    oci::Digest digest;
    std::string bytes;
  };
  oci::Digest root_digest;
  oci::Digest manifest_digest;
  oci::Manifest manifest;
  std::vector<Document> documents;  // the index, if there is one, and the manifest
};

// Digests of the documents, the configuration and the layers.
std::vector<std::string> blobs_of(const Resolved& resolved);

// Asks the registry and walks through an index to the manifest for `platform`. `root` is the digest
// of the answer to HEAD, or empty. unimplemented: an encrypted layer.
Task<Resolved> resolve_remote(RegistrySession& session, oci::Digest root, oci::Platform platform);
// The same for a manifest in the content store, which is borrowed, as is `pool`.
Task<Resolved> resolve_local(OffloadPool& pool, ContentStore& content, oci::Digest manifest);

// The sizes that the manifest gives for the configuration and the layers are within the limits.
Status check_sizes(const oci::Manifest& manifest, std::uint64_t layer_size_max);
// The configuration has as many diff_ids as the manifest has layers.
Status check_layers(const oci::Manifest& manifest, const oci::Image& config);

}  // namespace berth::image
