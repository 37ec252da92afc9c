// SPDX-License-Identifier: Apache-2.0
// Bytes from the transfer thread to a thread that may block on the disk, through a buffer of fixed
// size. A full buffer pauses the transfer; an empty one makes the reader wait.
//
//   transfer thread: write()...
//   the loop:        end() after the last write
//   reader:          while (!(piece = channel.next()).empty()) channel.consumed(piece.size());
//                    or fail(error), which ends the transfer
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
  // The reader still gets the bytes in the buffer.
  void end();

  // For the reader, one thread. Waits for bytes; empty: the end. Valid until consumed().
  std::string_view next();
  void consumed(std::size_t size);
  // The reader takes no more bytes; the transfer ends with this Error.
  void fail(Error error);

 private:
  const std::size_t capacity_;
  const std::unique_ptr<char[]> memory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t begin_ = 0;  // of the unread bytes
  std::size_t size_ = 0;
  bool paused_ = false;
  bool ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace berth::image
