// SPDX-License-Identifier: Apache-2.0
// The id of this boot, /proc/sys/kernel/random/boot_id (random(4)): the same until the next boot.
#pragma once

#include <string>

#include "core/base/result.h"

namespace berth::image {

Result<std::string> read_boot_id();

}  // namespace berth::image
