// SPDX-License-Identifier: Apache-2.0
// The one door into a loop from other threads: a lock-free list and an eventfd.
#pragma once

#include <atomic>
#include <functional>

#include "core/base/unique_fd.h"
#include "core/ring/op.h"

namespace berth {

// What another thread hands to the loop. Owned by who posts it until run() is called on the loop.
class PostNode {
 public:
  PostNode() = default;
  PostNode(PostNode&&) noexcept {}
  PostNode& operator=(PostNode&&) = delete;
  virtual void run() noexcept = 0;
  // Instead of run, when the ring is destroyed first.
  virtual void drop() noexcept {}

 protected:
  ~PostNode() = default;

 private:
  friend class Inbox;
  PostNode* next_ = nullptr;
};

// Any thread puts, one thread takes.
class Inbox {
 public:
  Inbox() = default;
  Inbox(const Inbox&) = delete;
  ~Inbox();

  // True if the inbox was empty, so that the taker has to be woken; whoever finds it non-empty
  // relies on the waker before it.
  bool put(PostNode& node) noexcept;
  // Runs everything there, oldest first; gives the number.
  unsigned run_all() noexcept;
  bool empty() const noexcept { return head_.load(std::memory_order_acquire) == nullptr; }

 private:
  PostNode* take_all() noexcept;

  std::atomic<PostNode*> head_{nullptr};
};

}  // namespace berth
