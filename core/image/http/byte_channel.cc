// SPDX-License-Identifier: Apache-2.0
#include "core/image/http/byte_channel.h"

#include <algorithm>
#include <cstring>

namespace berth::image {

ByteChannel::ByteChannel(std::size_t capacity)
    : capacity_(capacity), memory_(std::make_unique_for_overwrite<char[]>(capacity)) {}

Result<DownloadSink::Took> ByteChannel::write(std::string_view bytes) {
  CHECK(bytes.size() <= capacity_);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failure_.has_value()) return *failure_;
  paused_ = bytes.size() > capacity_ - size_;
  if (paused_) return Took::none;
  const std::size_t end = (begin_ + size_) % capacity_;
  const std::size_t first = std::min(bytes.size(), capacity_ - end);
  std::memcpy(memory_.get() + end, bytes.data(), first);
  std::memcpy(memory_.get(), bytes.data() + first, bytes.size() - first);
  size_ += bytes.size();
  changed_.notify_one();
  return Took::all;
}

void ByteChannel::end() {
  const std::lock_guard<std::mutex> lock(mutex_);
  ended_ = true;
  changed_.notify_one();
}

std::string_view ByteChannel::next() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return size_ > 0 || ended_; });
  return {memory_.get() + begin_, std::min(size_, capacity_ - begin_)};
}

// Resume a paused transfer when half of the buffer is free: a wake-up for every piece costs more
// than the piece.
void ByteChannel::consumed(std::size_t size) {
  bool goes_on = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    begin_ = (begin_ + size) % capacity_;
    size_ -= size;
    goes_on = paused_ && size_ <= capacity_ / 2;
    if (goes_on) paused_ = false;
  }
  if (goes_on) resume();
}

void ByteChannel::fail(Error error) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    failure_ = std::move(error);
  }
  resume();
}

}  // namespace berth::image
