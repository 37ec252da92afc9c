// SPDX-License-Identifier: Apache-2.0
// Attachments whose deletion has not succeeded yet, one file each: DIR/ID.json. They are kept over
// restarts of the agent. The functions block: call them on an offload thread.
#pragma once

#include <string>
#include <vector>

#include "networking/cni/saved.h"

namespace berth::networking::cni {

// Makes the directory if it is missing. The file is complete or absent at any time.
Status record_leftover(const std::string& dir, const Attachment& attachment);
// An absent file is no error.
Status remove_leftover(const std::string& dir, const std::string& container_id);
// Files that cannot be read are left out.
Result<std::vector<Attachment>> load_leftovers(const std::string& dir);

}  // namespace berth::networking::cni
