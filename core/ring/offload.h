// SPDX-License-Identifier: Apache-2.0
// offload: runs a system call that has no io_uring opcode on another thread.
//
//   UniqueFd mount = co_await offload(ring, [path] { return fsmount_overlay(path); });
//   co_await offload(pool, [path] { return read_all(path); });
//
// The ring's own pool is for the short steps of the start path. Work that blocks threads for
// seconds brings a pool of its own, made on the same ring.
//
// The function returns a Result<T>; co_await gives the T. It must not touch what belongs to the
// loop. Its captures live in the awaiting frame until it has returned. Cancelling withdraws a
// function that has not started; one that runs is waited for and keeps its result. A function
// that takes a std::stop_token learns of the cancellation there.
#pragma once

#include <pthread.h>

#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "core/ring/ring.h"
#include "core/ring/sleepers.h"
#include "core/task/guarded.h"
#include "core/task/promise.h"

namespace berth {

// A function waiting for a thread.
class OffloadJob : public Link, public PostNode {
 public:
  OffloadJob() = default;
  OffloadJob(OffloadJob&&) = default;
  virtual void work() noexcept = 0;  // on a pool thread; run() follows on the loop

 protected:
  ~OffloadJob() = default;
};

// A few threads, made when first needed, at most `most`. Idle ones sleep without a time limit.
// Destroying the pool waits for running functions; destroying it with queued ones is a bug and
// aborts.
class OffloadPool {
 public:
  OffloadPool(Ring& ring, unsigned most) : ring_(ring), most_(most) {}
  OffloadPool(const OffloadPool&) = delete;
  ~OffloadPool();

  void add(OffloadJob& job);
  // True if the job had not started and never will.
  bool withdraw(OffloadJob& job);

 private:
  static void* thread_main(void* pool);
  void work();
  void add_thread();

  Ring& ring_;
  const unsigned most_;
  std::mutex mutex_;
  Sleepers sleepers_;
  List<OffloadJob> jobs_;
  std::vector<pthread_t> threads_;
  bool ending_ = false;
};

template <typename F>
constexpr bool kStoppable = std::is_invocable_v<F&, std::stop_token>;

template <typename F, bool = kStoppable<F>>
struct OffloadCall {
  using Outcome = std::invoke_result_t<F&>;
  F function;
  Outcome operator()() { return function(); }
  void request_stop() noexcept {}
};
template <typename F>
struct OffloadCall<F, true> {
  using Outcome = std::invoke_result_t<F&, std::stop_token>;
  F function;
  std::stop_source stop{};
  Outcome operator()() { return function(stop.get_token()); }
  void request_stop() noexcept { stop.request_stop(); }
};

template <typename F>
class [[nodiscard]] Offload final : public Leaf, private OffloadJob {
 public:
  using Outcome = typename OffloadCall<F>::Outcome;

  Offload(OffloadPool& pool, F function) : pool_(&pool), call_{std::move(function)} {}
  Offload(Offload&&) noexcept = default;
  AsResult<Offload> result() && { return AsResult<Offload>(std::move(*this)); }

  bool suspend(PromiseBase& waiter) {
    if (waiter.cancelled()) return false;
    park(waiter);
    pool_->add(*this);
    return true;
  }
  Outcome resume() {
    if (!outcome_) return cancelled_error("offload");
    return std::move(*outcome_);
  }
  void on_cancel() noexcept override {
    if (pool_->withdraw(*this)) {
      wake();
    } else {
      call_.request_stop();
    }
  }

 private:
  void work() noexcept override { outcome_.emplace(guarded(call_)); }
  void run() noexcept override { wake(); }

  OffloadPool* pool_;
  OffloadCall<F> call_;
  std::optional<Outcome> outcome_;
};

template <typename F>
Offload<F> offload(Ring& ring, F function) {
  return Offload<F>(ring.offload_pool(), std::move(function));
}
template <typename F>
Offload<F> offload(OffloadPool& pool, F function) {
  return Offload<F>(pool, std::move(function));
}

}  // namespace berth
