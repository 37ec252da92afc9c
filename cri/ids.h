// SPDX-License-Identifier: Apache-2.0
// Ids of sandboxes and containers: 64 hexadecimal digits of the kernel's randomness, as every peer
// makes them; unique without asking anybody.
#pragma once

#include <string>

#include "core/base/result.h"

namespace berth::cri {

Result<std::string> make_id();

}  // namespace berth::cri
