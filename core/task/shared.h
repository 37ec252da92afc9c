// SPDX-License-Identifier: Apache-2.0
// Shared<T>: one running attempt and several waiters, each of which gets a copy of its Result. For
// work that a repeated request joins: keep the shared_ptr in a map by key while the attempt runs.
//
//   auto attempt = Shared<std::string>::start(scope, create(request));
//   std::string id = co_await attempt->wait();
//
// A waiter that is cancelled leaves; the attempt goes on. The attempt ends early only with its
// scope.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "core/task/event.h"
#include "core/task/scope.h"

namespace berth {

template <typename T>
class Shared {
 public:
  // If the scope is closed the attempt has ended with Errc::unavailable.
  static std::shared_ptr<Shared> start(Scope& scope, Task<T> task) {
    auto shared = std::make_shared<Shared>();
    if (!scope.spawn(drive(shared, std::move(task)))) {
      shared->outcome_.emplace(make_error(Errc::unavailable, "shutting down"));
      shared->ended_.set();
    }
    return shared;
  }

  bool ended() const noexcept { return ended_.is_set(); }
  // Call through a shared_ptr that outlives the wait.
  Task<T> wait() {
    co_await ended_.wait();
    Result<T> copy = *outcome_;
    if constexpr (std::is_void_v<T>) {
      co_await std::move(copy);
    } else {
      co_return copy;
    }
  }

 private:
  static Task<void> drive(std::shared_ptr<Shared> self, Task<T> task) {
    Result<T> outcome = co_await std::move(task).result();
    self->outcome_.emplace(std::move(outcome));
    self->ended_.set();
  }

  Event ended_;
  std::optional<Result<T>> outcome_;
};

}  // namespace berth
