// SPDX-License-Identifier: Apache-2.0
// may_hang: runs a function that may never return on a thread whose end nothing waits for.
//
//   Trees trees = co_await may_hang(threads, std::move(look));
//
// For system calls on a filesystem that may be remote: a server that does not answer blocks them
// for ever, and neither a deadline nor a signal ends them. So cancelling abandons the function: the
// task continues with Errc::cancelled while the thread stays blocked. If the function returns
// later, the thread destroys it and its result. So the function owns everything that it uses, by
// value or by shared_ptr, and holds no reference to a frame or to a part of the program. A function
// that has returned before the cancellation keeps its result. Use `offload` for everything else.
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

// At most `most` threads, made when first needed; idle ones sleep without a time limit. Blocked
// threads count: when all are blocked, new functions wait for their turn. Results go to the loop of
// `ring`, which may end before a thread does. Destroying waits for no thread; no task may be
// waiting then. A thread that is still blocked ends with the process.
class HangingThreads {
 public:
  HangingThreads(Ring& ring, unsigned most);
  HangingThreads(const HangingThreads&) = delete;
  ~HangingThreads();

  // resource_exhausted: there is no thread and none can be made.
  Status add(std::shared_ptr<HangingJob> job);
  // True if the job will not be posted any more.
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
