// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <cstddef>

#include "core/linux/text_pages.h"

// Defined by the linker, see end(3).
extern "C" char __executable_start;
extern "C" char etext;

namespace berth::sys {

void drop_own_text_pages() noexcept {
  const auto size = static_cast<std::size_t>(&etext - &__executable_start);
  static_cast<void>(::madvise(&__executable_start, size, MADV_DONTNEED));
}

}  // namespace berth::sys
