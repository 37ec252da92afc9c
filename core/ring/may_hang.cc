// SPDX-License-Identifier: Apache-2.0
#include "core/ring/may_hang.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "core/base/thread.h"
#include "core/base/units.h"

namespace berth {
namespace {

constexpr std::size_t kStackSize = 256_KiB;

}  // namespace

// State that the threads share; it outlives the HangingThreads object.
class HangingThreads::Shared {
 public:
  Shared(Ring& ring, unsigned most) : ring_(ring), most_(most) {}

  Status add(const std::shared_ptr<Shared>& self, std::shared_ptr<HangingJob> job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (jobs_.size() >= idle_ && threads_ < most_) {
        Status made = add_thread(self);
        if (!made.ok() && threads_ == 0) return made;
      }
      jobs_.push_back(std::move(job));
    }
    changed_.notify_one();
    return {};
  }

  bool give_up(HangingJob& job) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    if (job.state_ == HangingJob::State::ended) return false;
    job.state_ = HangingJob::State::given_up;
    std::erase_if(jobs_, [&job](const auto& waiting) { return waiting.get() == &job; });
    return true;
  }

  void end() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      CHECK(jobs_.empty());
      ending_ = true;
    }
    changed_.notify_all();
  }

  // An abandoned job is destroyed here, outside the lock. Posting is under the lock: a job that is
  // not given up has a waiter, and a waiter has a ring.
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      while (jobs_.empty() && !ending_) {
        ++idle_;
        changed_.wait(lock);
        --idle_;
      }
      if (jobs_.empty()) return;
      std::shared_ptr<HangingJob> job = std::move(jobs_.front());
      jobs_.pop_front();
      job->state_ = HangingJob::State::running;
      lock.unlock();
      job->work();
      lock.lock();
      if (job->state_ == HangingJob::State::running) {
        job->state_ = HangingJob::State::ended;
        ring_.post(*job);
      }
      lock.unlock();
      job.reset();
      lock.lock();
    }
  }

 private:
  Status add_thread(const std::shared_ptr<Shared>& self) {
    auto held = std::make_unique<std::shared_ptr<Shared>>(self);
    TRY(const pthread_t thread,
        start_thread("berth-may-hang", kStackSize, &HangingThreads::thread_main, held.get()));
    ::pthread_detach(thread);
    static_cast<void>(held.release());
    ++threads_;
    return {};
  }

  Ring& ring_;
  const unsigned most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<HangingJob>> jobs_;
  unsigned threads_ = 0;
  unsigned idle_ = 0;
  bool ending_ = false;
};

HangingThreads::HangingThreads(Ring& ring, unsigned most)
    : shared_(std::make_shared<Shared>(ring, most)) {}

HangingThreads::~HangingThreads() {
  shared_->end();
}

Status HangingThreads::add(std::shared_ptr<HangingJob> job) {
  return shared_->add(shared_, std::move(job));
}

bool HangingThreads::give_up(HangingJob& job) noexcept {
  return shared_->give_up(job);
}

void* HangingThreads::thread_main(void* shared) {
  const std::unique_ptr<std::shared_ptr<Shared>> held(
      static_cast<std::shared_ptr<Shared>*>(shared));
  (*held)->work();
  return nullptr;
}

}  // namespace berth
