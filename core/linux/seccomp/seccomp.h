// SPDX-License-Identifier: Apache-2.0
// Seccomp filters compiled to classic BPF, once for each profile; the launcher only installs them.
// seccomp(2). A program is struct sock_filter instructions, eight bytes each.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"

namespace berth::sys {

using SeccompInstructions = std::vector<std::uint64_t>;

}  // namespace berth::sys
