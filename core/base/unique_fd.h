// SPDX-License-Identifier: Apache-2.0
// UniqueFd owns one file descriptor. No implicit int, no implicit bool: 0 is a descriptor.
#pragma once

#include <utility>

#include "core/base/result.h"

namespace berth {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  // A second descriptor of the same open file, close-on-exec and at least 3, so that it never takes
  // the place of a standard stream. fcntl's error otherwise.
  Result<UniqueFd> duplicate() const;
  // Closes the descriptor that was owned. close(2) is never retried: on Linux the number is free
  // even after EINTR and may already name another file.
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

}  // namespace berth
