// SPDX-License-Identifier: Apache-2.0
#include "core/ring/stream.h"

#include <unistd.h>

#include <utility>

namespace berth {

Stream::Next Stream::next() noexcept {
  return Next(*this);
}

Stream::Close Stream::close() noexcept {
  return Close(*this);
}

void Stream::arm_again() noexcept {
  if (waiter_ != nullptr && quiet() && !closing_ && may_arm()) ring_.submit(*this);
}

void Stream::on_cqe(int res, unsigned flags) noexcept {
  const Item item{res, flags};
  if (!keep(item)) return;
  if (closing_) {
    drop(item);
    return;
  }
  items_.push_back(item);
  if (waiter_ != nullptr) std::exchange(waiter_, nullptr)->wake();
}

void Stream::on_end() noexcept {
  if (closer_ != nullptr) {
    std::exchange(closer_, nullptr)->wake();
    return;
  }
  arm_again();
}

void Stream::drop_items() noexcept {
  for (const Item& item : items_) drop(item);
  items_.clear();
}

// A waiter destroyed while it waits leaves the stream armed.
Stream::Next::~Next() {
  if (stream_->waiter_ == this) stream_->waiter_ = nullptr;
}

bool Stream::Next::suspend(PromiseBase& waiter) {
  CHECK(stream_->waiter_ == nullptr && !stream_->closing_);
  cancelled_ = waiter.cancelled();
  if (cancelled_ || !stream_->items_.empty()) return false;
  stream_->waiter_ = this;
  stream_->arm_again();
  park(waiter);
  return true;
}

void Stream::Next::on_cancel() noexcept {
  stream_->waiter_ = nullptr;
  cancelled_ = true;
  wake();
}

Result<Stream::Item> Stream::Next::resume_item() {
  if (cancelled_ || stream_->items_.empty()) return cancelled_error(stream_->op_);
  const Item item = stream_->items_.front();
  stream_->items_.pop_front();
  if (item.res >= 0) return item;
  return sys_error(-item.res, stream_->op_, "fd " + std::to_string(stream_->sqe_.fd));
}

Result<int> Stream::Next::resume() {
  Result<Item> item = resume_item();
  if (!item.ok()) return std::move(item).error();
  return item->res;
}

bool Stream::Close::suspend(PromiseBase& waiter) {
  CHECK(stream_->waiter_ == nullptr && stream_->closer_ == nullptr);
  stream_->closing_ = true;
  stream_->drop_items();
  if (stream_->quiet()) return false;
  stream_->closer_ = this;
  park(waiter);
  stream_->ring_.cancel(*stream_);
  return true;
}

Result<void> Stream::Close::resume() noexcept {
  stream_->drop_items();
  return {};
}

AcceptStream::AcceptStream(Ring& ring, int listener) noexcept : Stream(ring, "accept") {
  io_uring_prep_multishot_accept(&sqe_, listener, nullptr, nullptr, SOCK_CLOEXEC);
}

void AcceptStream::drop(const Item& item) noexcept {
  if (item.res >= 0) ::close(item.res);
}

PollStream::PollStream(Ring& ring, int fd, unsigned events) noexcept : Stream(ring, "poll") {
  io_uring_prep_poll_multishot(&sqe_, fd, events);
}

}  // namespace berth
