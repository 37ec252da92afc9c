// SPDX-License-Identifier: Apache-2.0
// Anonymous files in memory. A sealed one can be handed to another program that maps it without
// fear of its changing or shrinking underneath. memfd_create(2), fcntl_seals.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

Result<UniqueFd> memfd_create(const std::string& name, unsigned extra_flags = 0);
// Holds exactly `bytes`; sealed against writing, growing, shrinking and further seals.
Result<UniqueFd> sealed_memfd(const std::string& name, std::span<const std::byte> bytes);

}  // namespace berth::sys
