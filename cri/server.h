// SPDX-License-Identifier: Apache-2.0
// The gRPC server on one unix socket. Its threads only carry bytes: every call runs on the ring.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "core/base/result.h"
#include "cri/service.h"

namespace berth::cri {

class Server {
 public:
  // `listen` is "unix:///path"; a socket that a dead agent left is replaced, a living one's is not
  // (the state store is locked before we come here). The socket is for root and its group: 0660.
  static Result<std::unique_ptr<Server>> start(Node& node, Scope& calls, const std::string& listen);
  ~Server();

  // Refuses new calls, waits for running ones until `grace_ms` have passed, then cancels them.
  // Blocks: never on the ring's thread, which must go on to finish the calls.
  void shutdown(std::int64_t grace_ms);

 private:
  Server(Node& node, Scope& calls) : runtime_(node, calls), image_(node, calls) {}

  RuntimeService runtime_;
  ImageService image_;
  std::unique_ptr<grpc::Server> server_;
  std::string path_;
};

}  // namespace berth::cri
