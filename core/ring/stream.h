// SPDX-License-Identifier: Apache-2.0
// Multishot subscriptions: one submission, many completions. A stream is armed by its first next()
// and armed again by a later one when the kernel has ended it. Items that arrive while no task
// waits are kept, in order.
//
//   AcceptStream connections(ring, listener.get());
//   for (;;) {
//     Result<int> socket = co_await connections.next().result();
//     if (!socket.ok()) break;
//     ...
//   }
//   co_await connections.close();      // always: until then the kernel has the stream's memory
//
// One task at a time waits in next(). Cancelling that task leaves the stream armed. An Error of the
// operation is given once; the next() after it arms again. Destroying a stream that was not closed
// aborts.
#pragma once

#include <deque>

#include "core/ring/ring.h"

namespace berth {

class Stream : private Submission {
 public:
  struct Item {
    int res = 0;
    unsigned flags = 0;
  };
  class Next;
  class Close;

  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // `int value = co_await stream.next();`
  Next next() noexcept;
  // Ends the subscription and drops the items that were not taken. Cannot be cancelled. No task may
  // be waiting in next().
  Close close() noexcept;

 protected:
  Stream(Ring& ring, const char* op) noexcept : ring_(ring), op_(op) {}
  ~Stream() { CHECK(items_.empty() && waiter_ == nullptr); }

  using Submission::sqe_;
  // Releases the resource of an item that is dropped.
  virtual void drop(const Item&) noexcept {}
  // False for a completion that gives the waiter no item.
  virtual bool keep(const Item&) noexcept { return true; }
  // Whether the kernel may be asked again now; if not, the stream calls arm_again later.
  virtual bool may_arm() noexcept { return true; }
  void arm_again() noexcept;

 private:
  void on_cqe(int res, unsigned flags) noexcept override;
  void on_end() noexcept override;
  void drop_items() noexcept;

  Ring& ring_;
  const char* op_;
  std::deque<Item> items_;
  bool closing_ = false;
  Next* waiter_ = nullptr;
  Close* closer_ = nullptr;
};

class [[nodiscard]] Stream::Next final : public Leaf {
 public:
  explicit Next(Stream& stream) noexcept : stream_(&stream) {}
  Next(Next&&) = default;
  ~Next();
  AsResult<Next> result() && { return AsResult<Next>(std::move(*this)); }
  bool suspend(PromiseBase& waiter);
  // A socket, a poll mask, a length: never negative.
  Result<int> resume();
  Result<Item> resume_item();
  void on_cancel() noexcept override;

 private:
  friend Stream;
  Stream* stream_;
  bool cancelled_ = false;
};

class [[nodiscard]] Stream::Close final : public Leaf {
 public:
  explicit Close(Stream& stream) noexcept : stream_(&stream) {}
  Close(Close&&) = default;
  bool suspend(PromiseBase& waiter);
  Result<void> resume() noexcept;
  void on_cancel() noexcept override {}

 private:
  friend Stream;
  Stream* stream_;
};

// next() gives a connected, close-on-exec socket that the caller owns. Sockets not taken are
// closed.
class AcceptStream final : public Stream {
 public:
  AcceptStream(Ring& ring, int listener) noexcept;

 private:
  void drop(const Item& item) noexcept override;
};

// next() gives the mask that became true. Edge-triggered: drain the fd before the next call.
class PollStream final : public Stream {
 public:
  PollStream(Ring& ring, int fd, unsigned events) noexcept;
};

}  // namespace berth
