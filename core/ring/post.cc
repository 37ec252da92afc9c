// SPDX-License-Identifier: Apache-2.0
#include "core/ring/post.h"

#include <utility>

namespace berth {

Inbox::~Inbox() {
  for (PostNode* node = take_all(); node != nullptr;) std::exchange(node, node->next_)->drop();
}

bool Inbox::put(PostNode& node) noexcept {
  PostNode* before = head_.load(std::memory_order_relaxed);
  do {
    node.next_ = before;
  } while (!head_.compare_exchange_weak(before, &node, std::memory_order_release,
                                        std::memory_order_relaxed));
  return before == nullptr;
}

// The list is newest first; turned round here so that one poster's order is kept.
PostNode* Inbox::take_all() noexcept {
  PostNode* newest = head_.exchange(nullptr, std::memory_order_acquire);
  PostNode* oldest = nullptr;
  while (newest != nullptr) {
    PostNode* node = std::exchange(newest, newest->next_);
    node->next_ = std::exchange(oldest, node);
  }
  return oldest;
}

unsigned Inbox::run_all() noexcept {
  unsigned ran = 0;
  for (PostNode* node = take_all(); node != nullptr; ++ran) {
    std::exchange(node, node->next_)->run();  // run may free the node
  }
  return ran;
}

}  // namespace berth
