// SPDX-License-Identifier: Apache-2.0
// Paths of the host that a client names, as a log's or a device's: what lies there may be slow, or
// belong to a server that is gone, and then whoever looks waits for ever.
#pragma once

#include <string>
#include <utility>

#include "core/ring/may_hang.h"
#include "core/task/task.h"

namespace berth::cri {

// What `look` gives, which runs on a thread that nobody waits for and owns all that it touches
// (may_hang.h). Cancelled while it looks, the error names `field` and `path`.
template <typename T, typename F>
Task<T> look_at_host(HangingThreads& threads, std::string field, std::string path, F look) {
  Result<T> found = co_await may_hang(threads, std::move(look)).result();
  if (!found.ok() && found.error().is(Errc::cancelled)) {
    Error error = std::move(found).error();
    error.op = "open";
    error.subject = std::move(path);
    co_await fail(std::move(error).with(std::move(field)));
  }
  co_return found;
}

}  // namespace berth::cri
