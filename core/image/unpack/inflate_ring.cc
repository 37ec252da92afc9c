// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/inflate_ring.h"

#include <algorithm>
#include <cstring>

#include "core/base/check.h"

namespace berth::image {
namespace {

Error another_failed() {
  return make_error(Errc::aborted, "another stage of the extraction failed");
}

}  // namespace

InflateRing::InflateRing(std::size_t chunk_size, std::size_t chunks)
    : chunk_size_(chunk_size), memory_(new char[chunk_size * chunks]), sizes_(chunks) {}

// Caller holds mutex_.
bool InflateRing::has_room() const {
  for (const Reader& reader : readers_) {
    if (!reader.left && filled_ - reader.chunk == sizes_.size()) return false;
  }
  return true;
}

Result<InflateRing::Chunk> InflateRing::acquire() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return failed_ || has_room(); });
  if (failed_) return another_failed();
  return Chunk{memory_.get() + (filled_ % sizes_.size()) * chunk_size_, chunk_size_};
}

void InflateRing::publish(std::size_t size) {
  CHECK(size <= chunk_size_);
  const std::lock_guard<std::mutex> lock(mutex_);
  sizes_[filled_ % sizes_.size()] = size;
  ++filled_;
  changed_.notify_all();
}

void InflateRing::finish() {
  const std::lock_guard<std::mutex> lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

Result<std::string_view> InflateRing::peek(unsigned who) {
  std::unique_lock<std::mutex> lock(mutex_);
  const Reader& reader = readers_[who];
  changed_.wait(lock, [&] { return failed_ || finished_ || reader.chunk < filled_; });
  if (failed_) return another_failed();
  if (reader.chunk == filled_) return std::string_view();
  const std::size_t slot = reader.chunk % sizes_.size();
  return std::string_view(memory_.get() + slot * chunk_size_ + reader.offset,
                          sizes_[slot] - reader.offset);
}

void InflateRing::take(unsigned who, std::size_t size) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Reader& reader = readers_[who];
  reader.offset += size;
  if (reader.offset < sizes_[reader.chunk % sizes_.size()]) return;
  reader.offset = 0;
  ++reader.chunk;
  changed_.notify_all();
}

void InflateRing::leave(unsigned who) {
  const std::lock_guard<std::mutex> lock(mutex_);
  readers_[who].left = true;
  changed_.notify_all();
}

void InflateRing::fail() {
  const std::lock_guard<std::mutex> lock(mutex_);
  failed_ = true;
  changed_.notify_all();
}

Result<std::size_t> InflateRingSource::read(char* out, std::size_t size) {
  TRY(const std::string_view bytes, ring_.peek(who_));
  const std::size_t count = std::min(size, bytes.size());
  if (count == 0) return count;
  std::memcpy(out, bytes.data(), count);
  ring_.take(who_, count);
  return count;
}

}  // namespace berth::image
