// SPDX-License-Identifier: Apache-2.0
// may_hang: a function that may never return runs on a thread that nobody waits for.
//
//   Trees trees = co_await may_hang(threads, std::move(look));
//
// For system calls that name a stranger's filesystem: a server that is gone keeps them for ever,
// and neither a deadline nor a signal we would send ends them. So cancelling gives up: the task
// goes on with Errc::cancelled while the thread stays where it is, and when the function returns
// after all, it and its result are destroyed there. Hence it must own everything it touches, by
// value or shared: no reference to a frame or to a part of the program is good enough. One that has
// returned when the cancellation comes keeps its result. `offload` is for everything else.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/ring/ring.h"
#include "core/task/guarded.h"
#include "core/task/promise.h"

namespace berth {

// Owned by its waiter and by its thread, whichever is later.
class HangingJob : public PostNode {
 public:
  HangingJob() = default;
  HangingJob(const HangingJob&) = delete;
  virtual ~HangingJob() = default;
  virtual void work() noexcept = 0;  // on a thread

 private:
  friend class HangingThreads;
  enum class State { waiting, running, ended, given_up };
  State state_ = State::waiting;  // under the threads' mutex
};

// At most `most` threads, made when first needed; idle ones sleep without a time limit. Those that
// hang count: when all do, new functions wait for their turn. On the loop of `ring`, which may end
// before a thread does. Destroying waits for nobody; every waiter has gone then. What hangs still
// ends with the process.
class HangingThreads {
 public:
  HangingThreads(Ring& ring, unsigned most);
  HangingThreads(const HangingThreads&) = delete;
  ~HangingThreads();

  // resource_exhausted: there is no thread and none can be made.
  Status add(std::shared_ptr<HangingJob> job);
  // True if nobody will post the job from now on.
  bool give_up(HangingJob& job) noexcept;

 private:
  class Shared;
  static void* thread_main(void* shared);

  std::shared_ptr<Shared> shared_;
};

template <typename F>
class [[nodiscard]] MayHang final : public Leaf {
 public:
  using Outcome = std::invoke_result_t<F&>;

  MayHang(HangingThreads& threads, F function)
      : threads_(&threads), job_(std::make_shared<Job>(std::move(function))) {}
  MayHang(MayHang&&) noexcept = default;
  AsResult<MayHang> result() && { return AsResult<MayHang>(std::move(*this)); }

  bool suspend(PromiseBase& waiter) {
    if (waiter.cancelled()) return false;
    job_->waiter = this;
    Status added = threads_->add(job_);
    if (!added.ok()) {
      job_->outcome.emplace(std::move(added).error());
      return false;
    }
    park(waiter);
    return true;
  }
  Outcome resume() {
    if (given_up_ || !job_->outcome) return cancelled_error("may_hang");
    return std::move(*job_->outcome);
  }
  void on_cancel() noexcept override {
    if (!threads_->give_up(*job_)) return;
    given_up_ = true;
    wake();
  }

 private:
  struct Job final : HangingJob {
    explicit Job(F f) : function(std::move(f)) {}
    void work() noexcept override { outcome.emplace(guarded(function)); }
    void run() noexcept override { waiter->wake(); }

    F function;
    std::optional<Outcome> outcome;
    MayHang* waiter = nullptr;
  };

  HangingThreads* threads_;
  std::shared_ptr<Job> job_;
  bool given_up_ = false;
};

template <typename F>
MayHang<F> may_hang(HangingThreads& threads, F function) {
  return MayHang<F>(threads, std::move(function));
}

}  // namespace berth
