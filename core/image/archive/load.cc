// SPDX-License-Identifier: Apache-2.0
#include "core/image/archive/load.h"

#include <utility>

#include "core/image/archive/docker.h"
#include "core/image/archive/layout.h"

namespace berth::image {

Result<LoadedArchive> load_archive(int fd, ContentStore& content, const oci::Platform& platform,
                                   const ArchiveLimits& limits) {
  TRY(const ArchiveReader archive, ArchiveReader::open(fd, limits));
  if (archive.has("index.json")) return load_layout(archive, content, platform);
  if (archive.has("manifest.json")) {
    TRY(std::vector<ArchivedImage> images, load_docker_archive(archive, content));
    return LoadedArchive{std::move(images)};
  }
  return make_error(Errc::invalid_argument,
                    "archive: has neither index.json (oci-layout) nor manifest.json "
                    "(docker-archive)");
}

}  // namespace berth::image
