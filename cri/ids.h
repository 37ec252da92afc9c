// SPDX-License-Identifier: Apache-2.0
// Ids of sandboxes and containers: 64 hexadecimal digits from the kernel's random numbers, as in
// containerd and CRI-O; unique without a register.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace berth::cri {

Result<std::string> make_id();
// Whether `text` has the form of an id.
bool is_id(std::string_view text);

}  // namespace berth::cri
