// SPDX-License-Identifier: Apache-2.0
// Pages of program text that were needed once. Starting a program touches much of its text and of
// its libraries', and the kernel maps sixteen pages around each fault; all of that counts as
// resident for as long as the process lives, although the page cache has the same bytes.
#pragma once

namespace berth::sys {

// madvise(2) MADV_DONTNEED for every executable mapping of a file: clean by construction, so what
// is needed again is mapped again from the page cache, one minor fault for sixteen pages. Read-only
// data is left alone: relocated pages look the same in /proc/self/maps and would lose their
// relocations.
void drop_text_pages() noexcept;

// The same for the program's own text alone, without a look at the mappings: all that a static
// program has.
void drop_own_text_pages() noexcept;

}  // namespace berth::sys
