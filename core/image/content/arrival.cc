// SPDX-License-Identifier: Apache-2.0
#include "core/image/content/arrival.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace berth::image {

Status Arrival::opened(int file, std::uint64_t offset) {
  UniqueFd own(::fcntl(file, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return sys_error(errno, "dup", "file of a blob");
  const std::lock_guard<std::mutex> lock(mutex_);
  file_ = std::move(own);
  offset_ = offset;
  changed_.notify_all();
  return {};
}

void Arrival::advanced(std::uint64_t offset) {
  const std::lock_guard<std::mutex> lock(mutex_);
  offset_ = offset;
  changed_.notify_all();
}

void Arrival::restarted() {
  const std::lock_guard<std::mutex> lock(mutex_);
  offset_ = 0;
  ++restarts_;
  changed_.notify_all();
}

void Arrival::ended(Status outcome) {
  const std::lock_guard<std::mutex> lock(mutex_);
  outcome_.emplace(std::move(outcome));
  changed_.notify_all();
}

bool Arrival::was_right() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return restarts_ == 0 && outcome_.has_value() && outcome_->ok();
}

// How far the file may be read; the reader's own offset at the end.
Result<std::uint64_t> ArrivingSource::wait_for_more() {
  std::unique_lock<std::mutex> lock(arrival_->mutex_);
  const auto is_news = [this] {
    const Arrival& blob = *arrival_;
    return blob.outcome_.has_value() || blob.restarts_ != restarts_ || blob.offset_ > offset_;
  };
  if (!arrival_->changed_.wait(lock, stop_, is_news)) {
    return make_error(Errc::cancelled, "cancelled");
  }
  const bool failed = arrival_->outcome_.has_value() && !arrival_->outcome_->ok();
  if (failed || arrival_->restarts_ != restarts_) {
    return make_error(Errc::aborted, name_ + ": the transfer did not go on");
  }
  file_ = arrival_->file_.get();
  return arrival_->offset_;
}

Result<std::size_t> ArrivingSource::read(char* out, std::size_t size) {
  TRY(const std::uint64_t end, wait_for_more());
  const std::uint64_t most = std::min<std::uint64_t>(size, end - offset_);
  if (most == 0) return std::size_t{0};
  while (true) {
    const ssize_t got = ::pread(file_, out, most, static_cast<off_t>(offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error(errno, "read", name_);
    if (got == 0) return make_error(Errc::aborted, name_ + ": the file became shorter");
    offset_ += static_cast<std::uint64_t>(got);
    return static_cast<std::size_t>(got);
  }
}

}  // namespace berth::image
