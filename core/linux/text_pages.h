// SPDX-License-Identifier: Apache-2.0
// Releases mapped pages of program text. The start of a program touches much of its text and of its
// libraries, and the kernel maps sixteen pages around each fault. All of these count as resident
// until the process ends, although the page cache holds the same bytes.
#pragma once

namespace berth::sys {

// madvise(2) MADV_DONTNEED for every executable mapping of a file. These pages are never dirty, so
// pages that are needed again are mapped from the page cache, with one minor fault for sixteen
// pages. Read-only data is not released: pages with relocations look the same in /proc/self/maps
// and would lose them.
void drop_text_pages() noexcept;

// The same for the text of the program itself, without reading /proc/self/maps. This is all the
// text of a static program.
void drop_own_text_pages() noexcept;

}  // namespace berth::sys
