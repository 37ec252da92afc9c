// SPDX-License-Identifier: Apache-2.0
// Reads the tables of the durable store into an index, once, when the store is opened. A record
// that cannot be understood is quarantined and its image is not listed; names of what is not there
// and manifests that no name stands for are erased. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/image/store/index.h"
#include "core/store/state.h"

namespace berth::image {

// Errors: of the store.
Result<ImageIndex> load_images(store::State& state);

// The images that another boot marked as not yet on disk: their files may be incomplete. Also ids
// of images that are not there any more.
Result<std::vector<std::string>> marked_before(const store::State& state,
                                               const std::string& boot_id);

}  // namespace berth::image
