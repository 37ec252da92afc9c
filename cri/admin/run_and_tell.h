// SPDX-License-Identifier: Apache-2.0
// Work whose client sees what happens: the work is a task of its own, and beside it its progress is
// looked at and sent when it has changed. A client that goes away ends both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "core/ring/ring.h"
#include "core/task/event.h"
#include "core/task/scope.h"
#include "core/task/task.h"
#include "cri/node.h"
#include "cri/rpc/call.h"

namespace berth::cri::admin {

template <typename T>
struct Running {
  Event ended;
  std::optional<Result<T>> outcome;
};

template <typename T>
Task<void> run(Task<T> work, Running<T>& running) {
  Result<T> outcome = co_await std::move(work).result();
  running.outcome.emplace(std::move(outcome));
  running.ended.set();
}

Task<void> wait_at_most(Ring& ring, Event& event, std::int64_t wait_ms);

// Sends the messages of `look()` until `ended` is set; an empty one says nothing.
template <typename Look>
Task<void> tell(Ring& ring, rpc::Call& call, Event& ended, Look look) {
  constexpr std::int64_t kLookMs = 100;
  std::string told;
  while (!ended.is_set()) {
    co_await wait_at_most(ring, ended, kLookMs);
    const auto message = look();
    std::string bytes = message.SerializeAsString();
    if (bytes.empty() || bytes == told) continue;
    told = std::move(bytes);
    co_await call.write(message);
  }
}

// Gives what `work` gives. `look` makes a message of how far it is.
template <typename T, typename Look>
Task<T> run_and_tell(Node& node, rpc::Call& call, Task<T> work, Look look) {
  Running<T> running;
  Scope scope(node.ring.ready(), [&node](Error error) { node.log.warn("admin", error.message()); });
  scope.spawn(run(std::move(work), running));
  Result<void> told = co_await tell(node.ring, call, running.ended, std::move(look)).result();
  if (!told.ok()) scope.cancel();
  co_await scope.close();
  co_await std::move(told);
  T result = co_await std::move(*running.outcome);
  co_return result;
}

}  // namespace berth::cri::admin
