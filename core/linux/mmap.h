// SPDX-License-Identifier: Apache-2.0
// Mmap owns one mapping. mmap(2).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/result.h"

namespace berth::sys {

class Mmap {
 public:
  struct Options {
    int protection = PROT_READ;
    int flags = MAP_PRIVATE;
    off_t offset = 0;
  };

  // Maps `size` bytes of `fd`, or anonymous memory with fd -1 and MAP_ANONYMOUS. `name` is for the
  // error.
  static Result<Mmap> create(int fd, std::size_t size, const Options& options,
                             std::string_view name);

  Mmap() = default;
  Mmap(Mmap&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mmap& operator=(Mmap&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mmap() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }

  std::byte* data() const noexcept { return static_cast<std::byte*>(data_); }
  std::size_t size() const noexcept { return size_; }
  std::span<const std::byte> bytes() const noexcept { return {data(), size_}; }

 private:
  Mmap(void* data, std::size_t size) noexcept : data_(data), size_(size) {}

  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace berth::sys
