// SPDX-License-Identifier: Apache-2.0
// guarded: calls a function that may throw (libraries do), and turns an exception into
// Errc::internal with its what(). For threads outside any task, where nothing else catches.
#pragma once

#include <utility>

#include "core/base/result.h"
#include "core/task/task.h"

namespace berth {

template <typename F>
auto guarded(F& function) noexcept -> decltype(function()) {
  try {
    return function();
  } catch (...) {
    return current_exception_error();
  }
}

}  // namespace berth
