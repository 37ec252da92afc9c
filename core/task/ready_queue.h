// SPDX-License-Identifier: Apache-2.0
// ReadyQueue: the tasks that can continue now, in the order in which they became ready. The loop
// owns the queue and drains it.
//
// Nothing is resumed in place: Event::set, Mutex unlocking, a completion and a cancellation only
// put the waiter here. So the caller of set() knows that no other code runs before its own next
// co_await, a thousand waiters do not nest a thousand stack frames, and the order is first come,
// first served.
#pragma once

#include <cstddef>

#include "core/task/link.h"

namespace berth {

class ReadyNode : public Link {
 public:
  using Run = void (*)(ReadyNode&) noexcept;

  explicit ReadyNode(Run run) noexcept : run_(run) {}
  void run() noexcept { run_(*this); }

 protected:
  void set_run(Run run) noexcept { run_ = run; }

 private:
  Run run_;
};

class ReadyQueue {
 public:
  bool empty() const noexcept { return nodes_.empty(); }
  void push(ReadyNode& node) noexcept { nodes_.push_back(node); }
  // Runs until nothing is ready or `most` nodes ran; gives how many ran. The bound keeps tasks that
  // wake each other for ever from starving the kernel's completions.
  std::size_t drain(std::size_t most = 4096) noexcept {
    std::size_t ran = 0;
    while (ran < most) {
      ReadyNode* node = nodes_.pop_front();
      if (node == nullptr) break;
      node->run();
      ++ran;
    }
    return ran;
  }

 private:
  List<ReadyNode> nodes_;
};

}  // namespace berth
