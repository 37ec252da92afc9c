// SPDX-License-Identifier: Apache-2.0
// Loads an OCI image layout (image-spec, image-layout.md) out of an archive: index.json, the
// indexes and manifests that it leads to, and the blobs of those that are for this platform.
// Blocks. Errors as of load.h. Private to this room.
#pragma once

#include "core/image/archive/load.h"

namespace berth::image {

// The archive has index.json. One whose index names nothing and that has manifest.json is loaded as
// a docker-archive.
Result<LoadedArchive> load_layout(const ArchiveReader& archive, ContentStore& content,
                                  const oci::Platform& platform);

}  // namespace berth::image
