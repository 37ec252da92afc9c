// SPDX-License-Identifier: Apache-2.0
// guarded: calls what may run foreign code, and turns an exception into Errc::internal with its
// what(). For threads outside any task, where nobody else would catch.
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
