// SPDX-License-Identifier: Apache-2.0
// A gRPC server on one unix socket whose handlers run on the loop. It has one thread of its own
// (docs/decisions/0002), which reads the socket and posts each call to the ring, and sleeps when
// there is nothing to read. Responses are written from the loop.
//
// A call of a method that is not in the table fails with UNIMPLEMENTED and the method's name. The
// connection of a client that floods the server is closed (docs/decisions/0013).
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
  // Called on any thread with the reason when connections were closed; may be empty.
  std::function<void(const std::string&)> on_refused{};
};

class Server {
 public:
  // `listen` is "unix:///path". A file at the path is replaced: the caller must hold the lock that
  // excludes another running server. The mode of the socket is 0660. unavailable: the server cannot
  // listen there.
  static Result<std::unique_ptr<Server>> start(ServerParts parts, const std::string& listen);
  // If any call was served, shut_down() must have ended before.
  ~Server();

  // New calls fail with UNAVAILABLE from now on. Running calls have `grace_ms` to end, then their
  // handlers are cancelled. Returns when the last handler has ended and its response is being sent;
  // the scope is then closed, and nothing is served any more. Never fails.
  Task<void> shut_down(std::int64_t grace_ms);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::rpc
