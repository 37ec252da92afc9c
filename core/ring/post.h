// SPDX-License-Identifier: Apache-2.0
// Inbox: other threads pass work to a loop through a lock-free list and an eventfd, and in no other
// way.
#pragma once

#include <atomic>
#include <functional>

#include "core/base/unique_fd.h"
#include "core/ring/op.h"

namespace berth {

// Work that another thread passes to the loop. The poster owns it until the loop calls run().
class PostNode {
 public:
  PostNode() = default;
  PostNode(PostNode&&) noexcept {}
  PostNode& operator=(PostNode&&) = delete;
  virtual void run() noexcept = 0;
  // Called instead of run when the ring is destroyed first.
  virtual void drop() noexcept {}

 protected:
  ~PostNode() = default;

 private:
  friend class Inbox;
  PostNode* next_ = nullptr;
};

// Any thread adds, one thread takes.
class Inbox {
 public:
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  ~Inbox();

  // True if the inbox was empty; the caller then wakes the loop. A caller that finds it non-empty
  // relies on the earlier caller's wake-up.
  bool put(PostNode& node) noexcept;
  // Runs all nodes, oldest first; returns their number.
  unsigned run_all() noexcept;
  bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }

 private:
  PostNode* take_all() noexcept;

  std::atomic<PostNode*> head_{nullptr};
};

}  // namespace berth
