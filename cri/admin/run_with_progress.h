// SPDX-License-Identifier: Apache-2.0
// Runs a task and streams its progress to the client of the call: every 100 ms the progress is read
// and sent if it has changed. When the client disconnects, the task is cancelled.
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

// One running task and, once `ended` is set, its outcome.
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

// Returns when `event` is set or after `wait_ms`, without an error in both cases.
Task<void> wait_at_most(Ring& ring, Event& event, std::int64_t wait_ms);

// Sends the messages that `progress()` returns until `ended` is set. Empty and unchanged messages
// are not sent.
template <typename Progress>
Task<void> send_progress(Ring& ring, rpc::Call& call, Event& ended, Progress progress) {
  constexpr std::int64_t kIntervalMs = 100;
  std::string last_sent;
  while (!ended.is_set()) {
    co_await wait_at_most(ring, ended, kIntervalMs);
    const auto message = progress();
    std::string bytes = message.SerializeAsString();
    if (bytes.empty() || bytes == last_sent) continue;
    last_sent = std::move(bytes);
    co_await call.write(message);
  }
}

// Returns the result of `work`. `progress()` returns a message with the current progress.
template <typename T, typename Progress>
Task<T> run_with_progress(Node& node, rpc::Call& call, Task<T> work, Progress progress) {
  Running<T> running;
  Scope scope(node.ring.ready(), [&node](Error error) { node.log.warn("admin", error.message()); });
  scope.spawn(run(std::move(work), running));
  Task<void> sending = send_progress(node.ring, call, running.ended, std::move(progress));
  Result<void> sent = co_await std::move(sending).result();
  if (!sent.ok()) scope.cancel();
  co_await scope.close();
  co_await std::move(sent);
  T result = co_await std::move(*running.outcome);
  co_return result;
}

}  // namespace berth::cri::admin
