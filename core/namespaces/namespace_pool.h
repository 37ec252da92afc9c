// SPDX-License-Identifier: Apache-2.0
// NamespacePool keeps fresh namespaces ready, so that a pod takes some in a microsecond instead of
// waiting for the kernel to make them (0.3 to 0.5 ms). One pool makes one kind of set: the kinds of
// namespaces in its flags. A set is handed out once and never comes back.
//
// The pool refills on offload threads up to `size`; a full pool does nothing. Loop
// thread only. close() before the destructor.
#pragma once

#include <sched.h>

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/linux/namespace.h"
#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"

namespace berth {

struct TakenNamespaces {
  sys::NamespaceSet set{};
  bool made_inline = false;  // none was ready, so the caller waited for the kernel
};

class NamespacePool {
 public:
  // The kinds of namespaces that a network gives a pod.
  static constexpr int kPod = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

  // `flags` as for sys::make_namespaces. Size 0: nothing is made ahead.
  NamespacePool(Ring& ring, int flags, std::size_t size);

  // A ready set, or one made now. Errors are those of unshare(2): resource_exhausted (the kernel's
  // limit in /proc/sys/user), permission_denied.
  Task<TakenNamespaces> take();
  // Fills the pool ahead of the first take. Later it is filled up when half is gone or nothing was
  // taken for a moment, so that making namespaces, a CPU's work for a millisecond, is not beside
  // every pod's start.
  void prefill();
  std::size_t ready() const noexcept { return sets_.size(); }
  Task<void> close();

 private:
  Task<void> refill();
  bool may_wait() const noexcept;
  Task<void> half_gone();

  Ring& ring_;
  const int flags_;
  const std::size_t size_;
  std::deque<sys::NamespaceSet> sets_;
  bool refilling_ = false;
  std::int64_t last_take_ns_ = 0;
  Event half_gone_;
  Scope scope_;
};

}  // namespace berth
