// SPDX-License-Identifier: Apache-2.0
#include "core/ring/recv_stream.h"

#include <errno.h>
#include <sys/mman.h>

namespace berth {

Result<std::unique_ptr<BufferPool>> BufferPool::create(Ring& ring, Options options) {
  CHECK(options.count != 0 && (options.count & (options.count - 1)) == 0);
  io_uring* uring = ring.backend().uring();
  if (uring == nullptr) return make_error(Errc::unimplemented, "this ring has no kernel buffers");
  std::unique_ptr<BufferPool> pool(new BufferPool(ring, options));
  // The kernel wants the entries page-aligned.
  void* entries = ::mmap(nullptr, pool->entries_size_, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (entries == MAP_FAILED) return sys_error(errno, "mmap", "buffer ring");
  io_uring_buf_reg request{};
  request.ring_addr = reinterpret_cast<std::uint64_t>(entries);
  request.ring_entries = options.count;
  request.bgid = options.group;
  const int failed = io_uring_register_buf_ring(uring, &request, 0);
  if (failed < 0) {
    ::munmap(entries, pool->entries_size_);
    return sys_error(-failed, "io_uring_register",
                     "buffer ring of group " + std::to_string(options.group));
  }
  pool->entries_ = static_cast<io_uring_buf_ring*>(entries);
  io_uring_buf_ring_init(pool->entries_);
  for (unsigned id = 0; id < options.count; ++id) pool->offer(id);
  return pool;
}

BufferPool::BufferPool(Ring& ring, Options options)
    : ring_(ring),
      options_(options),
      memory_(std::size_t{options.count} * options.size),
      entries_size_(sizeof(io_uring_buf) * options.count) {}

BufferPool::~BufferPool() {
  if (entries_ == nullptr) return;
  CHECK(free_ == options_.count);
  static_cast<void>(io_uring_unregister_buf_ring(ring_.backend().uring(), options_.group));
  ::munmap(entries_, entries_size_);
}

void BufferPool::offer(unsigned id) noexcept {
  const std::span<char> bytes = buffer(id);
  io_uring_buf_ring_add(entries_, bytes.data(), static_cast<unsigned>(bytes.size()),
                        static_cast<unsigned short>(id), io_uring_buf_ring_mask(options_.count), 0);
  io_uring_buf_ring_advance(entries_, 1);
  ++free_;
}

void BufferPool::give_back(unsigned id) noexcept {
  offer(id);
  if (StarvedNode* node = starved_.pop_front()) static_cast<RecvStream*>(node)->arm_again();
}

void BufferPool::starve(StarvedNode& stream) noexcept {
  if (!stream.linked()) starved_.push_back(stream);
}

RecvStream::RecvStream(Ring& ring, int socket, BufferPool& pool) noexcept
    : Stream(ring, "recv"), pool_(pool) {
  io_uring_prep_recv_multishot(&sqe_, socket, nullptr, 0, 0);
  sqe_.flags |= IOSQE_BUFFER_SELECT;
  sqe_.buf_group = pool.group();
}

RecvStream::NextChunk RecvStream::next_chunk() noexcept {
  return NextChunk(*this);
}

bool RecvStream::keep(const Item& item) noexcept {
  if ((item.flags & IORING_CQE_F_BUFFER) != 0) pool_.taken();
  return item.res != -ENOBUFS;
}

// Asking again while the pool is empty would only give ENOBUFS again, at once.
bool RecvStream::may_arm() noexcept {
  if (pool_.free_buffers() > 0) return true;
  pool_.starve(*this);
  return false;
}

void RecvStream::drop(const Item& item) noexcept {
  if ((item.flags & IORING_CQE_F_BUFFER) != 0) {
    pool_.give_back(item.flags >> IORING_CQE_BUFFER_SHIFT);
  }
}

// At the end of the stream the kernel may or may not have taken a buffer for its zero bytes.
Result<Chunk> RecvStream::NextChunk::resume() {
  Result<Item> item = next_.resume_item();
  if (!item.ok()) return std::move(item).error();
  if ((item->flags & IORING_CQE_F_BUFFER) == 0) return Chunk();
  return Chunk(*pool_, item->flags >> IORING_CQE_BUFFER_SHIFT, static_cast<std::size_t>(item->res));
}

}  // namespace berth
