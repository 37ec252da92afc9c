// SPDX-License-Identifier: Apache-2.0
#include "core/image/unpack/writer.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/base/thread.h"
#include "core/base/units.h"
#include "core/image/unpack/files.h"

namespace berth::image {
namespace {

constexpr std::size_t kBatchBytes = 256_KiB;
constexpr std::size_t kBatchPieces = 64;  // each may hold a descriptor
constexpr std::size_t kBatchesMost = 4;
constexpr std::size_t kStackSize = 256_KiB;

Status write_at(int file, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t wrote = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return sys_error(errno, "write");
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

}  // namespace

// One file. Lives while pieces of it wait or more may come; the last piece finishes it.
struct FileWriter::OpenFile {
  NewFile made;
  std::string name;
  Attributes attributes;
  std::uint64_t end = 0;   // of the contents so far; used by the reading thread only
  std::uint64_t size = 0;  // set by end()
  std::atomic<int> uses = 1;

  Status finish() const;
};

// The order matters: writing and chown clear setuid bits and capabilities, and every step changes
// the times.
Status FileWriter::OpenFile::finish() const {
  const int file = made.file.get();
  // A hole at the end is not written.
  if (end < size && ::ftruncate(file, static_cast<off_t>(size)) != 0) {
    return sys_error(errno, "ftruncate");
  }
  if (made.needs_owner && ::fchown(file, attributes.uid, attributes.gid) != 0) {
    return sys_error(errno, "chown");
  }
  if (made.needs_mode && ::fchmod(file, attributes.mode) != 0) return sys_error(errno, "chmod");
  TRY_(set_xattrs(file, name, attributes));
  const timespec times[2] = {attributes.access, attributes.modification};
  if (::futimens(file, times) != 0) return sys_error(errno, "futimens");
  return {};
}

FileWriter::FileWriter(unsigned threads) : threads_most_(threads) {}

FileWriter::~FileWriter() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  failed_ = true;
  work_added_.notify_all();
  for (const pthread_t thread : threads_) ::pthread_join(thread, nullptr);
  // Unprocessed pieces still hold files.
  if (current_ != nullptr) release(current_);
  if (filling_ != nullptr) work_off(*filling_);
  for (const BatchPtr& batch : queue_) work_off(*batch);
}

void FileWriter::begin(NewFile file, std::string_view name, const Attributes& attributes) {
  CHECK(current_ == nullptr);
  current_ = new OpenFile{std::move(file), std::string(name), attributes};
}

void FileWriter::write(std::uint64_t offset, std::string_view bytes) {
  current_->end = std::max(current_->end, offset + bytes.size());
  while (!bytes.empty()) {
    if (filling_ == nullptr || filling_->used == kBatchBytes) submit();
    const std::size_t room = kBatchBytes - filling_->used;
    const std::string_view part = bytes.substr(0, room);
    current_->uses.fetch_add(1, std::memory_order_relaxed);
    add(offset, part);
    offset += part.size();
    bytes.remove_prefix(part.size());
  }
}

void FileWriter::end(std::uint64_t size) {
  current_->size = size;
  add(0, {});  // a piece for this thread's reference
  current_ = nullptr;
}

void FileWriter::add(std::uint64_t offset, std::string_view bytes) {
  if (filling_ == nullptr || filling_->pieces.size() == kBatchPieces) submit();
  Batch& batch = *filling_;
  if (!bytes.empty()) std::memcpy(batch.bytes.data() + batch.used, bytes.data(), bytes.size());
  batch.pieces.push_back({current_, offset, batch.used, bytes.size()});
  batch.used += bytes.size();
}

// Queues the filled batch and takes an empty one.
void FileWriter::submit() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (filling_ != nullptr) {
    queue_.push_back(std::move(filling_));
    if (threads_.size() < threads_most_ && queue_.size() > threads_.size()) add_thread();
    work_added_.notify_one();
  }
  filling_ = free_batch(lock);
}

FileWriter::BatchPtr FileWriter::free_batch(std::unique_lock<std::mutex>& lock) {
  while (true) {
    if (!free_.empty()) {
      BatchPtr batch = std::move(free_.back());
      free_.pop_back();
      return batch;
    }
    const bool may_queue = !threads_.empty() || queue_.empty();
    if (batches_made_ < kBatchesMost && may_queue) {
      ++batches_made_;
      auto batch = std::make_unique<Batch>();
      batch->bytes.resize(kBatchBytes);
      batch->pieces.reserve(kBatchPieces);
      return batch;
    }
    if (queue_.empty()) {
      work_done_.wait(lock);
      continue;
    }
    BatchPtr batch = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work_off(*batch);
    lock.lock();
    return batch;
  }
}

void FileWriter::work_off(Batch& batch) {
  for (const Piece& piece : batch.pieces) {
    if (piece.size > 0 && !failed()) {
      const std::string_view bytes(batch.bytes.data() + piece.at, piece.size);
      Status wrote = write_at(piece.file->made.file.get(), bytes, piece.offset);
      if (!wrote.ok()) {
        fail(std::move(wrote).error().with("entry `" + printable(piece.file->name) + "`"));
      }
    }
    release(piece.file);
  }
  batch.pieces.clear();
  batch.used = 0;
}

void FileWriter::release(OpenFile* file) {
  if (file->uses.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (!failed()) {
    Status finished = file->finish();
    if (!finished.ok()) {
      fail(std::move(finished).error().with("entry `" + printable(file->name) + "`"));
    }
  }
  delete file;
}

void FileWriter::fail(Error error) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!failure_.has_value()) failure_ = std::move(error);
  failed_.store(true, std::memory_order_relaxed);
}

Status FileWriter::drain() {
  CHECK(current_ == nullptr || failed());
  std::unique_lock<std::mutex> lock(mutex_);
  if (filling_ != nullptr) queue_.push_back(std::move(filling_));
  while (!queue_.empty() || in_work_ > 0) {
    if (queue_.empty()) {
      work_done_.wait(lock);
      continue;
    }
    BatchPtr batch = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work_off(*batch);
    lock.lock();
    free_.push_back(std::move(batch));
  }
  if (failure_.has_value()) return *failure_;
  return {};
}

// Without a thread the caller does the work.
void FileWriter::add_thread() {
  Result<pthread_t> thread =
      start_thread("berth-unpack", kStackSize, &FileWriter::thread_main, this);
  if (thread.ok()) threads_.push_back(*thread);
}

void* FileWriter::thread_main(void* writer) {
  static_cast<FileWriter*>(writer)->thread_loop();
  return nullptr;
}

void FileWriter::thread_loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    while (queue_.empty() && !ending_) work_added_.wait(lock);
    if (ending_) return;
    BatchPtr batch = std::move(queue_.front());
    queue_.pop_front();
    ++in_work_;
    lock.unlock();
    work_off(*batch);
    lock.lock();
    --in_work_;
    free_.push_back(std::move(batch));
    work_done_.notify_one();
  }
}

}  // namespace berth::image
