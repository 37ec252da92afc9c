// SPDX-License-Identifier: Apache-2.0
#include "core/task/event.h"

namespace berth {

void Event::set() noexcept {
  set_ = true;
  while (WaitNode* node = waiters_.pop_front()) static_cast<Wait*>(node)->wake();
}

Event::Wait Event::wait() noexcept {
  return Wait(*this);
}

bool Event::Wait::suspend(PromiseBase& waiter) {
  cancelled_ = waiter.cancelled();
  if (cancelled_ || event_->set_) return false;
  event_->waiters_.push_back(*this);
  park(waiter);
  return true;
}

Result<void> Event::Wait::resume() {
  if (cancelled_) return cancelled_error("wait");
  return {};
}

void Event::Wait::on_cancel() noexcept {
  WaitNode::unlink();
  cancelled_ = true;
  wake();
}

Mutex::Lock Mutex::lock() noexcept {
  return Lock(*this);
}

void Mutex::unlock() noexcept {
  WaitNode* node = waiters_.pop_front();
  if (node == nullptr) {
    locked_ = false;
    return;
  }
  Lock* next = static_cast<Lock*>(node);
  next->granted_ = true;
  next->wake();
}

// A waiter destroyed between being granted the lock and running passes it on.
Mutex::Lock::~Lock() {
  if (granted_) mutex_->unlock();
}

bool Mutex::Lock::suspend(PromiseBase& waiter) {
  if (waiter.cancelled()) return false;
  if (!mutex_->locked_) {
    mutex_->locked_ = true;
    granted_ = true;
    return false;
  }
  mutex_->waiters_.push_back(*this);
  park(waiter);
  return true;
}

Result<Mutex::Guard> Mutex::Lock::resume() {
  if (!granted_) return cancelled_error("lock");
  granted_ = false;
  return Guard(*mutex_);
}

void Mutex::Lock::on_cancel() noexcept {
  WaitNode::unlink();
  wake();
}

}  // namespace berth
