// SPDX-License-Identifier: Apache-2.0
// Multishot receive with buffers that the kernel picks as data arrives, so that a thousand quiet
// connections need none. Linux 6.0.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ring/stream.h"

namespace berth {

// A stream that found the pool empty is in the pool's list.
struct StarvedNode : Link {};

// Outlives its streams and their chunks.
class BufferPool {
 public:
  struct Options {
    unsigned short group;  // the pool's number within its ring
    unsigned short count;  // a power of two
    unsigned size;         // bytes of each buffer
  };
  static Result<std::unique_ptr<BufferPool>> create(Ring& ring, Options options);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  unsigned short group() const noexcept { return options_.group; }
  unsigned free_buffers() const noexcept { return free_; }
  std::span<char> buffer(unsigned id) noexcept {
    return {memory_.data() + std::size_t{id} * options_.size, options_.size};
  }
  // The kernel chose a buffer; give_back returns it and arms the streams that starved.
  void taken() noexcept { --free_; }
  void give_back(unsigned id) noexcept;
  void starve(StarvedNode& stream) noexcept;

 private:
  BufferPool(Ring& ring, Options options);
  void offer(unsigned id) noexcept;

  Ring& ring_;
  Options options_;
  std::vector<char> memory_;
  io_uring_buf_ring* entries_ = nullptr;
  std::size_t entries_size_ = 0;
  unsigned free_ = 0;
  List<StarvedNode> starved_;
};

// Received bytes; the buffer goes back to the pool when the chunk is destroyed.
class Chunk {
 public:
  Chunk() = default;  // no bytes: the peer has ended
  Chunk(BufferPool& pool, unsigned id, std::size_t size) noexcept
      : pool_(&pool), id_(id), size_(size) {}
  Chunk(Chunk&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), id_(other.id_), size_(other.size_) {}
  Chunk& operator=(Chunk&&) = delete;
  ~Chunk() {
    if (pool_ != nullptr) pool_->give_back(id_);
  }
  std::string_view bytes() const noexcept {
    return pool_ == nullptr ? std::string_view()
                            : std::string_view(pool_->buffer(id_).data(), size_);
  }

 private:
  BufferPool* pool_ = nullptr;
  unsigned id_ = 0;
  std::size_t size_ = 0;
};

// `Chunk chunk = co_await stream.next_chunk();` Empty bytes mean that the peer has ended. While the
// pool is empty the stream waits and the bytes stay in the socket: give chunks back before asking
// for more.
class RecvStream final : public Stream, private StarvedNode {
 public:
  RecvStream(Ring& ring, int socket, BufferPool& pool) noexcept;

  class NextChunk;
  NextChunk next_chunk() noexcept;

 private:
  friend BufferPool;
  void drop(const Item& item) noexcept override;
  bool keep(const Item& item) noexcept override;
  bool may_arm() noexcept override;

  BufferPool& pool_;
};

class [[nodiscard]] RecvStream::NextChunk {
 public:
  explicit NextChunk(RecvStream& stream) noexcept : pool_(&stream.pool_), next_(stream.next()) {}
  AsResult<NextChunk> result() && { return AsResult<NextChunk>(std::move(*this)); }
  bool suspend(PromiseBase& waiter) { return next_.suspend(waiter); }
  Result<Chunk> resume();

 private:
  BufferPool* pool_;
  Next next_;
};

}  // namespace berth
