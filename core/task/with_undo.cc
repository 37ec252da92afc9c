// SPDX-License-Identifier: Apache-2.0
#include "core/task/with_undo.h"

#include <optional>

namespace berth {

Task<void> AsyncUndo::run() {
  std::optional<Error> first;
  while (!steps_.empty()) {
    std::function<Task<void>()> reverse = std::move(steps_.back());
    steps_.pop_back();
    Result<void> undone = co_await reverse().result();
    if (undone.ok()) continue;
    if (!first) {
      first = std::move(undone).error();
    } else {
      first = std::move(*first).with(undone.error().message());
    }
  }
  if (first) co_await fail(std::move(*first));
}

}  // namespace berth
