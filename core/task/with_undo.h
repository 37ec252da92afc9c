// SPDX-License-Identifier: Apache-2.0
// with_undo: multi-step work whose reverses must be awaited.
//
//   Task<Slot> make_slot(Ring& ring, Links& links) {
//     return with_undo([&ring, &links](AsyncUndo& undo) -> Task<Slot> {
//       Link link = co_await links.create(ring);
//       undo.push([&links, name = link.name]() { return links.remove(name); });
//       co_await links.set_up(ring, link);
//       co_return Slot{std::move(link)};
//     });
//   }
//
// If the body fails, the reverses run last first, shielded from cancellation. The result is then
// the body's Error, with the texts of failed reverses in its context. If the body succeeds, no
// reverse runs.
//
// Lifetime: a lambda's captures live in the lambda, not in the coroutine. with_undo keeps the body,
// and AsyncUndo keeps each reverse, in a frame that outlives them, so these lambdas may capture: by
// value anything, by reference only what outlives the awaiting of with_undo (here the function
// returns the task unawaited, so its own locals and by-value parameters must be captured by value).
#pragma once

#include <functional>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/task/task.h"

namespace berth {

class AsyncUndo {
 public:
  AsyncUndo() = default;
  AsyncUndo(const AsyncUndo&) = delete;
  AsyncUndo& operator=(const AsyncUndo&) = delete;

  // Push after the acquisition succeeded, before the next co_await.
  void push(std::function<Task<void>()> reverse) { steps_.push_back(std::move(reverse)); }
  void commit() noexcept { steps_.clear(); }
  // Awaits every reverse, last first. All run, also after one failed; gives the first Error, with
  // the others as its context.
  Task<void> run();

 private:
  std::vector<std::function<Task<void>()>> steps_;
};

template <typename Body>
std::invoke_result_t<Body&, AsyncUndo&> with_undo(Body body) {
  using T = typename std::invoke_result_t<Body&, AsyncUndo&>::value_type;
  AsyncUndo undo;
  Result<T> outcome = co_await body(undo).result();
  if (!outcome.ok()) {
    Result<void> undone = co_await shield(undo.run()).result();
    Error error = std::move(outcome).error();
    if (!undone.ok()) {
      error = std::move(error).with("undoing also failed (" + undone.error().message() + ")");
    }
    co_await fail(std::move(error));
  }
  undo.commit();
  if constexpr (!std::is_void_v<T>) co_return std::move(outcome).value();
}

}  // namespace berth
