// SPDX-License-Identifier: Apache-2.0
// A table entry as the protocol's records.
#pragma once

#include <cstdint>

#include "core/keeper/protocol.h"
#include "core/keeper/table.h"

namespace berth::keeper {

// A launch that has not been answered is in no list.
inline bool listable(const Entry& entry) noexcept {
  return entry.state == EntryState::running || entry.state == EntryState::exited;
}

ProcessRecord record_of(const Entry& entry) noexcept;
ExitRecord exit_record_of(const Entry& entry) noexcept;
// The entry's descriptors in the order of FdBit; gives their number. `fds` has room for kFdBits.
int collect_fds(const Entry& entry, std::uint32_t* bits, int* fds) noexcept;
// All that a process's entry has.
void close_descriptors(Entry& entry) noexcept;

}  // namespace berth::keeper
