// SPDX-License-Identifier: Apache-2.0
// The build of a program: the linker's build ID (NT_GNU_BUILD_ID of the ELF notes), hexadecimal.
// The agent compares that of the running keeper with that of the file beside it.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/keeper/protocol.h"

namespace berth::keeper {

// Of the calling program; not valid: it has none. Allocates nothing.
Name own_build() noexcept;
// Of the program file at `path`; empty: it has none. Errors are those of open(2) and read(2);
// invalid_argument: not an ELF file of this machine's word size.
Result<std::string> build_of_file(const std::string& path);

}  // namespace berth::keeper
