// SPDX-License-Identifier: Apache-2.0
#include "core/base/undo.h"

#include <utility>

namespace berth {

void Undo::run() noexcept {
  while (!steps_.empty()) {
    const std::function<void()> step = std::move(steps_.back());
    steps_.pop_back();
    step();
  }
}

}  // namespace berth
