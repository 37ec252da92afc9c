// SPDX-License-Identifier: Apache-2.0
// Loads a tar archive of images into the content store: an OCI layout (index.json), or a
// docker-archive (manifest.json). An archive with both, as `docker save` writes it today, is loaded
// as a layout.
//
// Every blob is verified. Nothing is recorded here: Puller::add_local makes images of the loaded
// manifests. A failed load leaves at most blobs that no image uses, which the next sweep removes.
//
// A layout may hold more than images for this node: signatures, attestations, images for other
// platforms, unknown media types. If it holds an image, these entries are skipped and listed.
//
// Errors name the member or the field: invalid_argument (not such an archive, an invalid field or
// name), data_loss (a wrong digest), not_found (no image for this platform, with the skipped
// entries), resource_exhausted.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/archive/reader.h"
#include "core/image/content/content.h"
#include "core/oci/image.h"
#include "core/oci/reference.h"

namespace berth::image {

struct ArchivedImage {
  oci::Digest manifest_digest;
  std::vector<oci::Reference> names;  // tags; may be empty
};

struct PassedOver {
  std::string digest;
  std::string reason;  // for a reader, with untrusted words: "is for linux/s390x"
};

struct LoadedArchive {
  std::vector<ArchivedImage> images;  // at least one
  std::vector<PassedOver> passed_over{};
};

// Blocks. `fd` holds the archive, is borrowed and can be seeked. The same manifest under several
// names is one image.
Result<LoadedArchive> load_archive(int fd, ContentStore& content, const oci::Platform& platform,
                                   const ArchiveLimits& limits = {});

}  // namespace berth::image
