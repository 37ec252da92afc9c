// SPDX-License-Identifier: Apache-2.0
// The buffer between the stages of one extraction when each runs on its own thread: a ring of
// chunks with one producer (inflate) and several consumers (unpack, hash), each at its own pace. A
// chunk is reused when all consumers are past it, so memory is bounded whatever the layer's size.
//
// The producer waits for room, a consumer for bytes. The producer ends with finish(), a consumer
// with leave(), after which the producer no longer waits for it. fail() by any of them wakes the
// others, and their calls end with Errc::aborted.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "core/image/content/byte_source.h"

namespace berth::image {

class InflateRing {
 public:
  static constexpr unsigned kReaders = 2;

  InflateRing(std::size_t chunk_size, std::size_t chunks);
  InflateRing(const InflateRing&) = delete;

  // For the producer, which owns the chunk until publish() or finish().
  struct Chunk {
    char* bytes;
    std::size_t size;
  };
  Result<Chunk> acquire();
  void publish(std::size_t size);
  void finish();

  // For consumer `who`: the unread rest of its chunk, empty at the end. Valid until take().
  Result<std::string_view> peek(unsigned who);
  // It has used `size` of these bytes.
  void take(unsigned who, std::size_t size);
  void leave(unsigned who);

  void fail();

 private:
  struct Reader {
    std::uint64_t chunk = 0;  // how many it has used up
    std::size_t offset = 0;   // in the next one
    bool left = false;
  };
  bool has_room() const;

  const std::size_t chunk_size_;
  const std::unique_ptr<char[]> memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> sizes_;  // of the filled chunks
  std::uint64_t filled_ = 0;        // how many chunks so far
  Reader readers_[kReaders];
  bool finished_ = false;
  bool failed_ = false;
};

// Consumer `who` as a ByteSource. Does not call leave().
class InflateRingSource final : public ByteSource {
 public:
  InflateRingSource(InflateRing& ring, unsigned who) : ring_(ring), who_(who) {}
  Result<std::size_t> read(char* out, std::size_t size) override;

 private:
  InflateRing& ring_;
  unsigned who_;
};

}  // namespace berth::image
