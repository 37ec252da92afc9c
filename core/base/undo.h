// SPDX-License-Identifier: Apache-2.0
// Undo: multi-step work keeps one list; each acquisition pushes its reverse beside it; success
// calls commit(); leaving without commit runs the reverses, last first. This is the synchronous
// list; the one whose reverses must be awaited is with_undo in core/task.
#pragma once

#include <functional>
#include <vector>

namespace berth {

class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() { run(); }

  // `reverse` must not throw and must accept that its object is gone or changed meanwhile.
  void push(std::function<void()> reverse) { steps_.push_back(std::move(reverse)); }
  void commit() noexcept { steps_.clear(); }
  void run() noexcept;

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace berth
