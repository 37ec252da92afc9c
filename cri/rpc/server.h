// SPDX-License-Identifier: Apache-2.0
// A gRPC server on one unix socket whose handlers run on the loop. It has one thread of its own,
// which sleeps until the kernel or the loop has something for it (docs/decisions/0002): it takes
// bytes from the socket and posts each call to the ring. Answers are written from the loop.
//
// A method that is not in the table is answered UNIMPLEMENTED and named.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/ring/ring.h"
#include "core/task/scope.h"
#include "cri/rpc/methods.h"

namespace berth::rpc {

struct ServerParts {
  Ring& ring;
  // Where handlers run. The owner closes it between refuse_calls() and the server's destruction;
  // calls that come after the close are answered UNAVAILABLE.
  Scope& calls;
  const Methods& methods;
  std::function<void()> on_call;  // on the loop, before each call; may be empty
};

class Server {
 public:
  // `listen` is "unix:///path". What is at the path is replaced: the caller holds the lock that
  // says no living server owns it. The socket is for root and its group: 0660. unavailable: cannot
  // listen there.
  static Result<std::unique_ptr<Server>> start(ServerParts parts, const std::string& listen);
  // Every call must have ended.
  ~Server();

  // Refuses new calls; when `grace_ms` have passed, tells the clients of those still running that
  // they are cancelled, which ends the handlers that end with their clients. Blocks until the last
  // handler has ended: never on the loop's thread, which must go on, and whose owner cancels the
  // scope when it will not wait for the others.
  void refuse_calls(std::int64_t grace_ms);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::rpc
