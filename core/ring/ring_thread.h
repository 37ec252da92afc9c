// SPDX-License-Identifier: Apache-2.0
// RingThread: a second loop, on a thread of its own, for work that would hold up the first one: the
// transfers of image pulls. Other threads reach it by ring().post(), as with every ring.
//
//   Result<std::unique_ptr<RingThread>> thread = RingThread::start("berth-http", parts);
//
// Nothing is shared between two rings; a task belongs to one and stays there.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/ring/ring.h"

namespace berth {

class RingThread {
 public:
  // Parts that are used on the thread; their functions are called there. Borrowed.
  class Parts {
   public:
    // Called before anything that is posted.
    virtual void made(Ring& ring) = 0;
    // Called after the loop's last turn; may turn the ring until its operations have left the
    // kernel.
    virtual void ending(Ring& ring) = 0;

   protected:
    ~Parts() = default;
  };

  // Returns when the thread's ring is made. The thread starts with all signals blocked and in the
  // caller's namespaces. `name` is at most 15 characters.
  static Result<std::unique_ptr<RingThread>> start(std::string name, Parts& parts);
  RingThread(const RingThread&) = delete;
  RingThread& operator=(const RingThread&) = delete;
  // Ends the loop after its current turn and joins.
  ~RingThread();

  Ring& ring() noexcept { return *ring_; }

 private:
  explicit RingThread(Parts& parts) : parts_(parts) {}
  static void* main(void* self);
  void tell_start(Status outcome);

  Parts& parts_;
  pthread_t thread_{};
  bool joinable_ = false;
  std::mutex mutex_;
  std::condition_variable started_;
  std::optional<Status> start_outcome_;
  std::unique_ptr<Ring> ring_;  // made by the thread, destroyed after it
};

}  // namespace berth
