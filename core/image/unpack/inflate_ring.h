// SPDX-License-Identifier: Apache-2.0
// What is between the stages of one extraction when they run on threads of their own: a ring of
// chunks that one stage fills (inflating) and several empty, each at its own pace (unpacking,
// hashing). A chunk is filled again when all have left it, so memory is the ring, whatever the
// layer's size.
//
// Every stage says when it ends. The filler: finish(). A reader: leave(), after which the filler
// no longer waits for it. Filling waits for room, reading for bytes; who fails wakes all others
// with fail(), and they end with Errc::aborted.
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

  // The filler. The chunk is its own until publish() or finish().
  struct Chunk {
    char* bytes;
    std::size_t size;
  };
  Result<Chunk> claim();
  void publish(std::size_t size);
  void finish();

  // Reader `who` of kReaders: the rest of the chunk it is in, empty at the end. Valid until take().
  Result<std::string_view> peek(unsigned who);
  // It is done with `size` of them.
  void take(unsigned who, std::size_t size);
  void leave(unsigned who);

  void fail();

 private:
  struct Reader {
    std::uint64_t chunk = 0;  // how many it is done with
    std::size_t offset = 0;   // in the next
    bool left = false;
  };
  bool has_room() const;

  const std::size_t chunk_size_;
  const std::unique_ptr<char[]> memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> sizes_;  // of the chunks that are filled
  std::uint64_t filled_ = 0;        // how many chunks ever
  Reader readers_[kReaders];
  bool finished_ = false;
  bool failed_ = false;
};

// Reader `who` as a ByteSource. Does not leave by itself.
class InflateRingSource final : public ByteSource {
 public:
  InflateRingSource(InflateRing& ring, unsigned who) : ring_(ring), who_(who) {}
  Result<std::size_t> read(char* out, std::size_t size) override;

 private:
  InflateRing& ring_;
  unsigned who_;
};

}  // namespace berth::image
