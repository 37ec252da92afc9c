// SPDX-License-Identifier: Apache-2.0
#include "core/container/namespace_pool.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/ring/offload.h"

namespace berth::container {

namespace {

// What one visit to a thread makes: few enough that a burst is not kept waiting behind it.
constexpr std::size_t kBatch = 4;

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

Task<void> NamespacePool::refill() {
  while (sets_.size() < size_) {
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

Task<sys::NamespaceSet> NamespacePool::take() {
  if (!sets_.empty()) {
    sys::NamespaceSet set = std::move(sets_.front());
    sets_.pop_front();
    if (sets_.size() * 2 <= size_) prefill();
    co_return set;
  }
  prefill();
  std::function<Result<sys::NamespaceSet>()> make = [flags = flags_]() {
    return sys::make_namespaces(flags);
  };
  sys::NamespaceSet set = co_await offload(ring_, std::move(make));
  co_return set;
}

Task<void> NamespacePool::close() {
  scope_.cancel();
  co_await scope_.close();
  sets_.clear();
}

}  // namespace berth::container
