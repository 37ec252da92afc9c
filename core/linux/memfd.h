// SPDX-License-Identifier: Apache-2.0
// Anonymous files in memory. A program that maps a sealed file can rely on it neither changing nor
// shrinking. memfd_create(2), F_ADD_SEALS in fcntl(2).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/base/unique_fd.h"

namespace berth::sys {

Result<UniqueFd> memfd_create(const std::string& name, unsigned extra_flags = 0);
// A file with exactly `bytes`, sealed against writing, growing, shrinking and further seals.
Result<UniqueFd> sealed_memfd(const std::string& name, std::span<const std::byte> bytes);

}  // namespace berth::sys
