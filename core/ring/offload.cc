// SPDX-License-Identifier: Apache-2.0
#include "core/ring/offload.h"

#include "core/base/thread.h"
#include "core/base/units.h"

namespace berth {
namespace {

constexpr std::size_t kStackSize = 256_KiB;

}  // namespace

OffloadPool::~OffloadPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
    sleepers_.wake_all();
  }
  for (pthread_t thread : threads_) ::pthread_join(thread, nullptr);
}

void OffloadPool::add(OffloadJob& job) {
  std::lock_guard<std::mutex> lock(mutex_);
  jobs_.push_back(job);
  if (!sleepers_.wake_one() && threads_.size() < most_) add_thread();
}

bool OffloadPool::withdraw(OffloadJob& job) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!job.linked()) return false;
  job.unlink();
  return true;
}

// When no thread can be made, the existing ones do the work; a machine where not even the first can
// be made is not supported.
void OffloadPool::add_thread() {
  Result<pthread_t> thread =
      start_thread("berth-offload", kStackSize, &OffloadPool::thread_main, this);
  if (thread.ok()) threads_.push_back(*thread);
  CHECK(!threads_.empty());
}

void* OffloadPool::thread_main(void* pool) {
  static_cast<OffloadPool*>(pool)->work();
  return nullptr;
}

void OffloadPool::work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    while (jobs_.empty() && !ending_) sleepers_.until_woken(lock);
    OffloadJob* job = jobs_.pop_front();
    if (job == nullptr) return;
    lock.unlock();
    job->work();
    ring_.post(*job);  // from here on the job belongs to the loop
    lock.lock();
  }
}

}  // namespace berth
