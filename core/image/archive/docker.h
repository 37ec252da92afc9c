// SPDX-License-Identifier: Apache-2.0
// The docker-archive half of load_archive. Private to this room.
//
// manifest.json is a list of { Config, RepoTags, Layers }, whose paths are members of the archive;
// layers are tars, plain or compressed. There is no manifest of the image, so one is made.
#pragma once

#include <vector>

#include "core/image/archive/load.h"

namespace berth::image {

Result<std::vector<ArchivedImage>> load_docker_archive(const ArchiveReader& archive,
                                                       ContentStore& content);

}  // namespace berth::image
