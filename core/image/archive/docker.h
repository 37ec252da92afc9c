// SPDX-License-Identifier: Apache-2.0
// The docker-archive half of load_archive. Private to this room.
//
// manifest.json is a list of { Config, RepoTags, Layers }, whose paths are members of the archive;
// layers are tars, plain or compressed. There is no manifest of the image, so one is made.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/image/archive/load.h"

namespace berth::image {

Result<std::vector<ArchivedImage>> load_docker_archive(const ArchiveReader& archive,
                                                       ContentStore& content);

// Copies members into the store under the digests they must have; data_loss names the member.
Status store_members(const ArchiveReader& archive, ContentStore& content,
                     const std::map<std::string, oci::Digest>& wanted);

}  // namespace berth::image
