// SPDX-License-Identifier: Apache-2.0
// A tar archive of images into the content store: oci-layout (index.json) or docker-archive
// (manifest.json); where both are there, as `docker save` writes it today, the layout is read.
//
// Every blob is verified on its way; nothing is recorded here: Puller::add_local makes images of
// what has come in. Whatever goes wrong leaves at most blobs that nobody names, for the sweep.
//
// A layout may hold more than images for this node: signatures, attestations, images for other
// platforms, unknown media types. If it holds an image, these entries are passed over and named.
//
// Errors name the member or the field: invalid_argument (no such archive, a field or a name that
// cannot be), data_loss (a digest is wrong), not_found (no image for this platform, with what was
// passed over), resource_exhausted.
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
  std::string reason;  // of strangers' words, for a reader: "is for linux/s390x"
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
