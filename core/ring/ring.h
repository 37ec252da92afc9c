// SPDX-License-Identifier: Apache-2.0
// Ring: one thread's event loop on one io_uring. Tasks run on the thread that made the ring; other
// threads reach it through post() and stop() only.
//
//   Result<std::unique_ptr<Ring>> made = Ring::create();
//   Ring& ring = **made;
//   Result<int> exit_code = ring.run_until(serve(ring));     // from main or a test
//
// Each operation is an awaitable that gives what the system call returns, or ends the task with its
// Error; `.result()` gives a Result<int>. Buffers, paths and addresses passed by pointer stay with
// the kernel until the co_await is over. Use blocking file descriptors: with O_NONBLOCK the kernel
// answers EAGAIN instead of waiting. A write may be short, as with write(2).
//
// Registered files and buffers are not used: see core/ring/README.md.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <thread>

#include "core/base/unique_fd.h"
#include "core/ring/op.h"
#include "core/ring/post.h"
#include "core/ring/ring_backend.h"
#include "core/ring/timers.h"
#include "core/task/root.h"
#include "core/task/task.h"

namespace berth {

class OffloadPool;
class Sleep;

class Ring {
 public:
  struct Options {
    unsigned entries = 256;
    unsigned cq_entries = 1024;
    unsigned offload_threads = 4;
  };
  // Counts of the loop's work. Read them on the loop's thread, or when the loop does not run.
  struct Counters {
    std::uint64_t queued = 0;     // now: waiting for room in the submission queue
    std::uint64_t in_kernel = 0;  // now: submitted, not completed (one is the ring's own)
    std::uint64_t submitted = 0;
    std::uint64_t completed = 0;
    std::uint64_t wakeups = 0;  // times a blocking wait returned: 0 growth while idle
    std::uint64_t posts = 0;    // closures and nodes taken from other threads
  };

  // Reads of a stream, and files at their own position.
  static constexpr std::uint64_t kCurrentOffset = ~std::uint64_t{0};

  static Result<std::unique_ptr<Ring>> create(Options options);
  static Result<std::unique_ptr<Ring>> create() { return create(Options{}); }
  // With another backend than the kernel, for tests.
  static Result<std::unique_ptr<Ring>> create(std::unique_ptr<RingBackend> backend,
                                              Options options);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  // No operation may be in the kernel: close scopes and streams first.
  ~Ring();

  // Until stop(). Blocks without a time limit when nothing is due.
  void run();
  // Runs the loop until the task has ended. Not inside a task.
  template <typename T>
  Result<T> run_until(Task<T> task) {
    RootTask<T> root(ready_, std::move(task));
    while (!root.done()) turn(true);
    return root.take();
  }
  // One turn: submit, wait (if asked to and nothing is ready), collect, resume.
  void turn(bool may_wait);

  // Thread-safe. stop() makes run() return after its current turn.
  void stop() noexcept;
  void post(std::function<void()> closure);
  void post(PostNode& node) noexcept;

  ReadyQueue& ready() noexcept { return ready_; }
  Timers& timers() noexcept { return timers_; }
  OffloadPool& offload_pool();
  Counters counters() const noexcept;
  bool has_opcode(unsigned opcode) const noexcept { return backend_->has_opcode(opcode); }
  RingBackend& backend() noexcept { return *backend_; }

  RingOp read(int fd, std::span<char> into, std::uint64_t offset = kCurrentOffset);
  RingOp write(int fd, std::string_view bytes, std::uint64_t offset = kCurrentOffset);
  RingOp recv(int socket, std::span<char> into, int flags = 0);
  RingOp send(int socket, std::string_view bytes, int flags = MSG_NOSIGNAL);
  RingOp recvmsg(int socket, msghdr& message, int flags = 0);
  RingOp sendmsg(int socket, const msghdr& message, int flags = MSG_NOSIGNAL);
  // The new socket is close-on-exec. If the task is cancelled while a connection arrives, the
  // connection wins: the value is always a socket that the caller owns.
  RingOp accept(int listener);
  RingOp connect(int socket, const sockaddr* address, socklen_t length);
  // One event: gives the mask that became true.
  RingOp poll(int fd, unsigned events);
  struct Open {
    const char* path;
    int flags = 0;  // O_CLOEXEC is added
    mode_t mode = 0;
  };
  RingOp openat(int dirfd, Open open);
  // Finished even when the task is cancelled.
  RingOp close(UniqueFd fd);
  RingOp fsync(int fd, unsigned flags = 0);
  RingOp unlinkat(int dirfd, const char* path, int flags = 0);
  RingOp mkdirat(int dirfd, const char* path, mode_t mode);
  struct At {
    int dirfd;
    const char* path;
  };
  RingOp renameat2(At source, At target, unsigned flags = 0);
  struct Splice {
    int source;
    int target;
    unsigned length;
    unsigned flags = 0;
  };
  // Both at their current position; one of them a pipe.
  RingOp splice(Splice splice);
  // Ends with Errc::cancelled if the task is; never() waits only for that.
  Sleep sleep_until(Deadline deadline);

  // For awaitables built on Submission. submit: queues; cancel: asks the kernel to end it early.
  void submit(Submission& submission) noexcept;
  void cancel(Submission& submission) noexcept;

 private:
  class Wakeup;

  Ring(std::unique_ptr<RingBackend> backend, UniqueFd event_fd, unsigned offload_threads);
  void wake() noexcept;
  void fill_queue() noexcept;
  void submit_and_wait(bool may_wait) noexcept;
  void collect() noexcept;
  void completed(const Cqe& cqe) noexcept;

  std::unique_ptr<RingBackend> backend_;
  UniqueFd event_fd_;
  const std::thread::id thread_;
  ReadyQueue ready_;
  Timers timers_;
  List<Submission> pending_;
  Counters counters_;
  std::unique_ptr<Wakeup> wakeup_;
  Inbox inbox_;
  std::atomic<bool> stopping_{false};
  unsigned offload_threads_;
  std::unique_ptr<OffloadPool> offload_;
};

class [[nodiscard]] Sleep final : public Leaf, private Timer {
 public:
  Sleep(Ring& ring, Deadline deadline) noexcept : ring_(&ring), deadline_(deadline) {}
  Sleep(Sleep&&) = default;
  AsResult<Sleep> result() && { return AsResult<Sleep>(std::move(*this)); }
  bool suspend(PromiseBase& waiter);
  Result<void> resume();
  void on_cancel() noexcept override;

 private:
  void on_time() noexcept override { wake(); }

  Ring* ring_;
  Deadline deadline_;
  bool cancelled_ = false;
};

}  // namespace berth
