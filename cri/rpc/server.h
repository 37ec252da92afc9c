// SPDX-License-Identifier: Apache-2.0
// A gRPC server on one unix socket whose handlers run on the loop. It has one thread of its own,
// which sleeps until the kernel or the loop has something for it (docs/decisions/0002): it takes
// bytes from the socket and posts each call to the ring. Answers are written from the loop.
//
// A method that is not in the table is answered UNIMPLEMENTED and named. A client that floods the
// server loses its connection (docs/decisions/0013).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "core/task/task.h"
#include "cri/rpc/methods.h"

namespace berth::rpc {

struct ServerParts {
  Ring& ring;
  Scope& calls;  // where handlers run; shut_down() closes it
  const Methods& methods;
  std::function<void()> on_call;  // on the loop, before each call; may be empty
  // On any thread: connections were closed, and why; may be empty.
  std::function<void(const std::string&)> on_refused{};
};

class Server {
 public:
  // `listen` is "unix:///path". What is at the path is replaced: the caller holds the lock that
  // says no living server owns it. The socket is for root and its group: 0660. unavailable: cannot
  // listen there.
  static Result<std::unique_ptr<Server>> start(ServerParts parts, const std::string& listen);
  // After shut_down(), when a call was ever served.
  ~Server();

  // Calls that come from now on are answered UNAVAILABLE. Running ones have `grace_ms`, then their
  // handlers are cancelled. Ends when the last handler has ended and its answer is on the way; the
  // scope is closed then. Nothing is served afterwards. Never fails.
  Task<void> shut_down(std::int64_t grace_ms);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::rpc
