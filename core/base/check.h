// SPDX-License-Identifier: Apache-2.0
// CHECK is for bugs of this program: a false condition means that an invariant is broken, and going
// on would make state worse. A condition that the outside world can cause is an Error, never a
// CHECK.
#pragma once

namespace berth {

// Writes one line to stderr with write(2) and aborts. Allocates nothing, so the keeper and the
// child between clone and exec may use it.
[[noreturn]] void check_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace berth

#define CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::berth::check_failed(#condition, __FILE__, __LINE__))
