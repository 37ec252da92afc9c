// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked lists: an element needs no allocation, and leaves its list when it is
// destroyed. Single-threaded.
#pragma once

#include "core/base/check.h"

namespace berth {

// Base class of list elements. An object that is in several lists derives from several classes that
// each derive from Link, and qualifies its calls: `CancelHook::unlink()`.
class Link {
 public:
  Link() = default;
  // Only an element that is in no list may move: its neighbours hold its address.
  Link(Link&& other) noexcept { CHECK(!other.linked()); }
  Link& operator=(Link&&) = delete;
  ~Link() { unlink(); }

  bool linked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    prev_->next_ = next_;
    next_->prev_ = prev_;
    prev_ = this;
    next_ = this;
  }

 private:
  template <typename Node>
  friend class List;

  Link* prev_ = this;
  Link* next_ = this;
};

// First in, first out. Owns nothing; destroying a list that still has nodes is a bug and aborts.
template <typename Node>
class List {
 public:
  List() = default;
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() { CHECK(empty()); }

  bool empty() const noexcept { return !head_.linked(); }
  void push_back(Node& node) noexcept {
    Link& link = node;
    CHECK(!link.linked());
    link.prev_ = head_.prev_;
    link.next_ = &head_;
    head_.prev_->next_ = &link;
    head_.prev_ = &link;
  }
  Node* front() noexcept { return empty() ? nullptr : static_cast<Node*>(head_.next_); }
  // The first node, no longer linked; null when there is none.
  Node* pop_front() noexcept {
    Node* node = front();
    if (node != nullptr) static_cast<Link*>(node)->unlink();
    return node;
  }

 private:
  Link head_;
};

}  // namespace berth
