// SPDX-License-Identifier: Apache-2.0
// Writes contents and attributes of files behind the thread that reads the tar. UnpackTree creates
// the names in the order of the tar; after that the writer uses only the file's descriptor, so it
// writes to that file whatever later entries do to the name.
//
// Contents are copied into a few batches of fixed size. Full batches are written by threads of this
// object and, when none is free, by the caller. A small layer never starts a thread. Plain system
// calls: docs/decisions/0007-unpacking-without-a-ring.md gives the cost of a ring here.
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
  // At most `threads` threads beside the caller's.
  explicit FileWriter(unsigned threads);
  // Waits for running writes and drops the rest.
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  // For one file after the other: begin(), write() for its contents without holes, then end() with
  // the size including a hole at the end. `name`, as in the tar, is for error texts.
  void begin(NewFile file, std::string_view name, const Attributes& attributes);
  void write(std::uint64_t offset, std::string_view bytes);
  void end(std::uint64_t size);

  // A file has failed, and later ones are not written; drain() returns the error.
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }
  // Waits until everything is written. The first error, with the name of its entry.
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

  std::mutex mutex_;  // guards the members below
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
