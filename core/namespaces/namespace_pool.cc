// SPDX-License-Identifier: Apache-2.0
#include "core/namespaces/namespace_pool.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/ring/offload.h"
#include "core/ring/with_deadline.h"

namespace berth {

namespace {

// What one visit to a thread makes: few enough that a burst is not kept waiting behind it.
constexpr std::size_t kBatch = 4;
// Longer than from one pod of a burst to the next.
constexpr std::int64_t kQuietNs = 50'000'000;

using Sets = std::vector<sys::NamespaceSet>;

Result<Sets> make_sets(int flags, std::size_t count) {
  Sets sets;
  for (std::size_t i = 0; i < count; ++i) {
    TRY(sys::NamespaceSet set, sys::make_namespaces(flags));
    sets.push_back(std::move(set));
  }
  return sets;
}

}  // namespace

NamespacePool::NamespacePool(Ring& ring, int flags, std::size_t size)
    : ring_(ring), flags_(flags), size_(size), scope_(ring.ready(), [](Error) {
        // A refill that fails is not reported here: the next take makes its own set and says why
        // not.
      }) {}

void NamespacePool::prefill() {
  if (refilling_ || sets_.size() >= size_) return;
  refilling_ = scope_.spawn(refill());
}

bool NamespacePool::may_wait() const noexcept {
  return sets_.size() * 2 > size_ && monotonic_now_ns() < last_take_ns_ + kQuietNs;
}

Task<void> NamespacePool::half_gone() {
  half_gone_.reset();
  co_await half_gone_.wait();
}

Task<void> NamespacePool::refill() {
  while (sets_.size() < size_) {
    if (may_wait()) {
      const Deadline quiet = Deadline::at_ns(last_take_ns_ + kQuietNs);
      Result<void> ended = co_await with_deadline(ring_, quiet, half_gone()).result();
      if (!ended.ok() && ended.error().is(Errc::cancelled)) break;
      continue;
    }
    const std::size_t count = std::min(kBatch, size_ - sets_.size());
    std::function<Result<Sets>()> make = [flags = flags_, count]() {
      return make_sets(flags, count);
    };
    Result<Sets> made = co_await offload(ring_, std::move(make)).result();
    if (!made.ok()) break;
    for (sys::NamespaceSet& set : *made) sets_.push_back(std::move(set));
  }
  refilling_ = false;
}

Task<TakenNamespaces> NamespacePool::take() {
  if (!sets_.empty()) {
    TakenNamespaces taken{.set = std::move(sets_.front()), .made_inline = false};
    sets_.pop_front();
    last_take_ns_ = monotonic_now_ns();
    if (sets_.size() * 2 <= size_) half_gone_.set();
    prefill();
    co_return taken;
  }
  prefill();
  std::function<Result<sys::NamespaceSet>()> make = [flags = flags_]() {
    return sys::make_namespaces(flags);
  };
  TakenNamespaces taken{.set = {}, .made_inline = true};
  taken.set = co_await offload(ring_, std::move(make));
  co_return taken;
}

Task<void> NamespacePool::close() {
  scope_.cancel();
  co_await scope_.close();
  sets_.clear();
}

}  // namespace berth
