// SPDX-License-Identifier: Apache-2.0
// Cancellation is a request that goes from a CancelContext to every leaf that waits under it. The
// leaf then ends with Errc::cancelled as soon as it can; a ring operation can when the kernel has
// given its memory back. Work that completed first keeps its result.
#pragma once

#include "core/task/link.h"

namespace berth {

// Something that waits under a context.
class CancelHook : public Link {
 public:
  CancelHook() = default;
  CancelHook(CancelHook&&) = default;
  // Called at most once per registration, with the hook already out of the context's list. Must not
  // resume a coroutine in place, only make it ready.
  virtual void on_cancel() noexcept = 0;

 protected:
  ~CancelHook() = default;
};

// Owned by a Scope, a deadline or a shield; outlives every task under it. A cancelled
// context stays cancelled: a wait that starts under it later ends at once.
class CancelContext final : private CancelHook {
 public:
  // Cancelling the parent cancels this context; cancelling this context does not cancel the parent.
  explicit CancelContext(CancelContext* parent = nullptr) noexcept {
    if (parent != nullptr) parent->add(*this);
  }
  CancelContext(const CancelContext&) = delete;
  CancelContext& operator=(const CancelContext&) = delete;
  ~CancelContext() = default;

  bool cancelled() const noexcept { return cancelled_; }
  void cancel() noexcept {
    cancelled_ = true;
    while (CancelHook* hook = hooks_.pop_front()) hook->on_cancel();
  }
  // The hook leaves by Link::unlink. Adding to a cancelled context cancels at once.
  void add(CancelHook& hook) noexcept {
    if (cancelled_) {
      hook.on_cancel();
    } else {
      hooks_.push_back(hook);
    }
  }

 private:
  void on_cancel() noexcept override { cancel(); }

  List<CancelHook> hooks_;
  bool cancelled_ = false;
};

}  // namespace berth
