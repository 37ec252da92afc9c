// SPDX-License-Identifier: Apache-2.0
// An artifact as a directory. Each blob of the manifest becomes one file; its name is the blob's
// title (org.opencontainers.image.title), which is untrusted, or its digest if it has none.
//
// The files are hard links to the blobs: they use no space, and they stay when a sweep removes the
// blobs from the content store.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/image/content/content.h"
#include "core/image/store/image_store.h"

namespace berth::image {

// The path of the file inside the volume. invalid_argument: the title leads out of the directory,
// is not a path, or is longer than the kernel takes.
Result<std::string> artifact_file_name(const LayerInfo& layer);

// Fills the empty directory `dir`. Blocks. invalid_argument (two files of one name, a file where
// another has a directory, a title as above), not_found (a blob is not in the store).
Status link_artifact_files(const ContentStore& content, const CachedImage& artifact,
                           const std::string& dir);

}  // namespace berth::image
