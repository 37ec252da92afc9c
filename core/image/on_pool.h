// SPDX-License-Identifier: Apache-2.0
// on_pool: like offload(ring, fn), but on threads that the caller owns. A pull blocks threads for
// seconds; those of the ring's own pool are for steps of the start path.
//
//   RemoteDocument head = co_await on_pool(pool, [job] { return job->head(); });
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "core/ring/offload.h"

namespace berth::image {

template <typename F>
class [[nodiscard]] OnPool final : public Leaf, private OffloadJob {
 public:
  using Outcome = std::invoke_result_t<F&>;

  OnPool(OffloadPool& pool, F function) : pool_(&pool), function_(std::move(function)) {}
  OnPool(OnPool&&) noexcept = default;
  AsResult<OnPool> result() && { return AsResult<OnPool>(std::move(*this)); }

  bool suspend(PromiseBase& waiter) {
    if (waiter.cancelled()) return false;
    park(waiter);
    pool_->add(*this);
    return true;
  }
  Outcome resume() {
    if (!outcome_) return cancelled_error("offload");
    return std::move(*outcome_);
  }
  void on_cancel() noexcept override {
    if (pool_->withdraw(*this)) wake();
  }

 private:
  void work() noexcept override { outcome_.emplace(guarded(function_)); }
  void run() noexcept override { wake(); }

  OffloadPool* pool_;
  F function_;
  std::optional<Outcome> outcome_;
};

template <typename F>
OnPool<F> on_pool(OffloadPool& pool, F function) {
  return OnPool<F>(pool, std::move(function));
}

}  // namespace berth::image
