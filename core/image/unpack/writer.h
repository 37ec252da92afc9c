// SPDX-License-Identifier: Apache-2.0
// Contents and attributes of files, written behind the thread that reads the tar. Names are made in
// the order of the tar, by UnpackTree; from then on a descriptor stands for the file, and what is
// written to it reaches it and nothing else, whatever later entries do to the name.
//
// Copies go into a few batches of fixed size; full ones are worked off by threads of this object's
// own and, when none is free, by the caller. A small layer never starts a thread. Plain system
// calls: docs/decisions/0007-unpacking-without-a-ring.md says what a ring costs here.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/unique_fd.h"
#include "core/image/unpack/tree.h"

namespace berth::image {

class FileWriter {
 public:
  // `threads` beside the caller's.
  explicit FileWriter(unsigned threads);
  // Waits for what is being written, drops the rest.
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  // For one file after the other: begin, then writes of its contents without its holes, then end
  // with the size including a hole at the end. `name` is for error texts, as it is in the tar.
  void begin(NewFile file, std::string_view name, const Attributes& attributes);
  void write(std::uint64_t offset, std::string_view bytes);
  void end(std::uint64_t size);

  // Some file has failed; drain() says how. What comes after is not written.
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
  // Until everything is written. The first failure, naming its entry.
  Status drain();

 private:
  struct OpenFile;
  struct Piece {
    OpenFile* file;
    std::uint64_t offset;
    std::size_t at;
    std::size_t size;
  };
  struct Batch {
    std::vector<char> bytes;
    std::size_t used = 0;
    std::vector<Piece> pieces;
  };
  using BatchPtr = std::unique_ptr<Batch>;

  void add(std::uint64_t offset, std::string_view bytes);
  void submit();
  BatchPtr free_batch(std::unique_lock<std::mutex>& lock);
  void work_off(Batch& batch);
  void release(OpenFile* file);
  void fail(Error error);
  void add_thread();
  static void* thread_main(void* writer);
  void thread_loop();

  const unsigned threads_most_;
  OpenFile* current_ = nullptr;
  BatchPtr filling_;
  std::atomic<bool> failed_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable work_added_;
  std::condition_variable work_done_;
  std::deque<BatchPtr> queue_;
  std::vector<BatchPtr> free_;
  std::size_t batches_made_ = 0;
  std::size_t in_work_ = 0;
  bool ending_ = false;
  std::optional<Error> failure_;
  std::vector<pthread_t> threads_;
};

}  // namespace berth::image
