// SPDX-License-Identifier: Apache-2.0
#include "core/ring/ring_thread.h"

#include <signal.h>

namespace berth {

Result<std::unique_ptr<RingThread>> RingThread::start(std::string name, Parts& parts) {
  std::unique_ptr<RingThread> thread(new RingThread(parts));
  // Signals belong to main: a thread inherits the mask of its maker, so all are blocked around it.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = ::pthread_create(&thread->thread_, nullptr, &RingThread::main, thread.get());
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) return sys_error(failed, "pthread_create", std::move(name));
  thread->joinable_ = true;
  ::pthread_setname_np(thread->thread_, name.c_str());
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
