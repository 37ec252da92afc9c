// SPDX-License-Identifier: Apache-2.0
// Bytes from the transfer thread to a thread that may block on the disk, through a buffer of fixed
// size: full, it pauses the transfer; empty, it lets the reader wait.
//
//   transfer: write()... ; the loop: end() when nothing more comes
//   reader:   while (!(piece = channel.next()).empty()) { use(piece); channel.consumed(size); }
//             or fail(error), which ends the transfer
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "core/image/http/download_sink.h"

namespace berth::image {

class ByteChannel final : public DownloadSink {
 public:
  explicit ByteChannel(std::size_t capacity);

  Result<Took> write(std::string_view bytes) override;
  // What is in the buffer can still be read.
  void end();

  // The reader, one thread. Waits for bytes; empty: the end. Valid until consumed().
  std::string_view next();
  void consumed(std::size_t size);
  // The reader takes no more, for this reason.
  void fail(Error error);

 private:
  const std::size_t capacity_;
  const std::unique_ptr<char[]> memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t begin_ = 0;  // of what is to be read
  std::size_t size_ = 0;
  bool paused_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace berth::image
