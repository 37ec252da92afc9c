// SPDX-License-Identifier: Apache-2.0
// Copies members of an archive into the content store. Private to this room.
#pragma once

#include <map>
#include <string>

#include "core/base/result.h"
#include "core/image/archive/reader.h"
#include "core/image/content/content.h"

namespace berth::image {

// `wanted` has the digest that each member must have. Blocks. data_loss names the member that has
// another one; what was copied before it stays.
Status store_members(const ArchiveReader& archive, ContentStore& content,
                     const std::map<std::string, oci::Digest>& wanted);

}  // namespace berth::image
