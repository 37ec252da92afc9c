// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_thread.h"

#include "core/base/thread.h"

namespace berth {

Result<std::unique_ptr<RingThread>> RingThread::start(std::string name, Parts& parts) {
  std::unique_ptr<RingThread> thread(new RingThread(parts));
  TRY(thread->thread_, start_thread(name.c_str(), 0, &RingThread::main, thread.get()));
  thread->joinable_ = true;
  std::unique_lock<std::mutex> lock(thread->mutex_);
  thread->started_.wait(lock, [&] { return thread->start_outcome_.has_value(); });
  if (!thread->start_outcome_->ok()) {
    Error error = thread->start_outcome_->error();
    lock.unlock();
    return std::move(error).with(name);
  }
  lock.unlock();
  return thread;
}

RingThread::~RingThread() {
  if (!joinable_) return;
  if (ring_ != nullptr) ring_->stop();
  ::pthread_join(thread_, nullptr);
}

void RingThread::tell_start(Status outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  start_outcome_.emplace(std::move(outcome));
  started_.notify_one();
}

// A ring works only on the thread that made it.
void* RingThread::main(void* self) {
  RingThread& thread = *static_cast<RingThread*>(self);
  Result<std::unique_ptr<Ring>> ring = Ring::create();
  if (!ring.ok()) {
    thread.tell_start(std::move(ring).error());
    return nullptr;
  }
  thread.ring_ = *std::move(ring);
  thread.parts_.made(*thread.ring_);
  thread.tell_start({});
  thread.ring_->run();
  thread.parts_.ending(*thread.ring_);
  return nullptr;
}

}  // namespace berth
