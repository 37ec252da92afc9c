// SPDX-License-Identifier: Apache-2.0
// A budget of bytes for buffers, shared by all pulls. Takers are served in the order they came. A
// wish for more than the whole budget gets the whole budget. The loop's thread only.
//
//   Budget::Share share = co_await budget.take(5_MiB);      // returned when destroyed
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "core/task/event.h"
#include "core/task/task.h"

namespace berth::image {

class Budget {
 public:
  explicit Budget(std::size_t size_max) : size_max_(size_max), free_(size_max) {}
  Budget(const Budget&) = delete;

  class [[nodiscard]] Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), size_(other.size_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(size_, other.size_);
      return *this;
    }
    ~Share() {
      if (budget_ != nullptr) budget_->give_back(size_);
    }

   private:
    friend class Budget;
    Share(Budget& budget, std::size_t size) : budget_(&budget), size_(size) {}
    Budget* budget_ = nullptr;
    std::size_t size_ = 0;
  };

  Task<Share> take(std::size_t wanted) {
    const std::size_t size = std::min(wanted, size_max_);
    const Mutex::Guard first_in_line = co_await line_.lock();
    while (free_ < size) {
      returned_.reset();
      co_await returned_.wait();
    }
    free_ -= size;
    co_return Share(*this, size);
  }
  // Without waiting; nothing when less is free or others wait.
  std::optional<Share> take_now(std::size_t wanted) {
    if (line_.locked() || free_ < wanted) return std::nullopt;
    free_ -= wanted;
    return Share(*this, wanted);
  }
  std::size_t size_max() const noexcept { return size_max_; }

 private:
  void give_back(std::size_t size) {
    free_ += size;
    returned_.set();
  }

  const std::size_t size_max_;
  std::size_t free_;
  Mutex line_;
  Event returned_;
};

}  // namespace berth::image
